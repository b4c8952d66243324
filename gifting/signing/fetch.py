"""Fetching a JWKS over HTTP: bounded in time and bytes, from where it was said and nowhere else."""

from __future__ import annotations

import ipaddress
import time
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, Final
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from gifting.errors import BadSetting
from gifting.wire.jwks import JWKS_MAX

FETCH_TIMEOUT: Final = 5.0
"""Seconds for the whole answer."""

CHUNK: Final = 8192


class FetchFailed(Exception):
    """Why there was no answer, for a log."""


def is_url(source: str) -> bool:
    return "://" in source


def check_url(url: str) -> None:
    """Keys come over TLS, or from this machine. Raises BadSetting."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise BadSetting(f"jwks is {url!r}; it must be a file or an https:// URL (http:// to this machine only).")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirect(HTTPRedirectHandler):
    """Whoever can redirect could redirect to plain HTTP, or to another's keys."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def fetch(url: str) -> bytes:
    """What is at ``url``, which :func:`check_url` has passed. Blocks: call it in a thread. Raises FetchFailed."""
    deadline = time.monotonic() + FETCH_TIMEOUT
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310
    try:
        with build_opener(_NoRedirect).open(request, timeout=FETCH_TIMEOUT) as answer:
            return _read(answer, deadline)
    except (OSError, HTTPException, ValueError) as error:  # urllib's errors are OSErrors
        raise FetchFailed(str(error)[:200] or type(error).__name__) from None


def _read(answer: HTTPResponse, deadline: float) -> bytes:
    data = b""
    while chunk := answer.read1(CHUNK):
        data += chunk
        if len(data) > JWKS_MAX:
            raise FetchFailed(f"it has more than {JWKS_MAX} bytes")
        if time.monotonic() > deadline:
            raise FetchFailed(f"it took more than {FETCH_TIMEOUT:.0f} s")
    return data
