"""The upgrade: who may open a WebSocket, and what is answered to those who may and those who may not. Pure.

The usual request, whole and plain, is read in one step by :func:`read_upgrade`; whatever is odd about one is left to
websockets' own parser, which knows all there is to say about it.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.utils import accept_key

from gifting.errors import BadMessage, BadOrigin, BadToken, GiftingError, NotFound
from gifting.wire.codec import CODECS, JSON, Codec

PATH = "/v1/ws"

TOKEN_PREFIX = "gifting.token."  # noqa: S105
"""Begins the subprotocol by which a browser, which can't set headers, sends its token. It is never selected."""

HeaderValues = Callable[[str], Sequence[str]]
"""All values of the header of a name."""


class Hello(NamedTuple):
    """What a client asked for. ``in_url`` says that its token was in the address."""

    token: str
    in_url: bool
    codec: Codec
    subprotocol: str | None


class Upgrade(NamedTuple):
    """A request for an upgrade in which every header is there once. ``headers`` have lower-case names."""

    target: str
    headers: dict[str, str]

    @property
    def key(self) -> str:
        return self.headers["sec-websocket-key"]

    def values(self, name: str) -> Sequence[str]:
        found = self.headers.get(name.lower())
        return () if found is None else (found,)


_START = f"GET {PATH}".encode()
_BODY = ("content-length", "transfer-encoding")


def read_upgrade(data: bytes) -> Upgrade | None:
    """The request, if ``data`` is one whole, plain and valid request for an upgrade (RFC 6455, section 4.2.1)."""
    if not data.startswith(_START) or not data.endswith(b"\r\n\r\n"):
        return None
    first, *lines = data[:-4].decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.replace("-", "").isalnum() or not line.isprintable() or not name.isascii():
            return None
        headers[name.lower()] = value.strip(" \t")
    target, _, version = first.removeprefix("GET ").partition(" ")
    plain = len(headers) == len(lines) and not any(name in headers for name in _BODY)
    return Upgrade(target, headers) if plain and version == "HTTP/1.1" and _asks(headers) else None


def _asks(headers: dict[str, str]) -> bool:
    """Whether the headers ask for a WebSocket, in every point."""
    try:
        key = binascii.a2b_base64(headers["sec-websocket-key"], strict_mode=True)
        options = [option.strip() for option in headers["connection"].lower().split(",")]
        asked = headers["upgrade"].lower() == "websocket" and headers["sec-websocket-version"] == "13"
    except (KeyError, ValueError):
        return False
    return asked and "upgrade" in options and len(key) == 16


def accept(key: str, subprotocol: str | None) -> bytes:
    """The answer that makes the connection a WebSocket."""
    extra = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n{extra}\r\n"
    ).encode()


def read_hello(target: str, values: HeaderValues, allowed_origins: frozenset[str]) -> Hello:
    """Check the request for an upgrade.

    Raises:
        NotFound: not our path.
        BadOrigin: a browser page of another site.
        BadMessage: none of the offered subprotocols is ours.
        BadToken: there is no token.
    """
    path, _, query = target.partition("?")
    if path != PATH:
        raise NotFound(f"WebSockets are at {PATH}.")
    _check_origin(values, allowed_origins)
    offered = [name.strip() for header in values("Sec-WebSocket-Protocol") for name in header.split(",")]
    codec, subprotocol = _choose_codec(offered)
    token = _token_of_header(values) or _token_of_browser(offered)
    return Hello(token or _token_of_url(query), not token, codec, subprotocol)


def _check_origin(values: HeaderValues, allowed: frozenset[str]) -> None:
    """A page of the server's own host may, and those the operator lists; what is no browser sends no Origin."""
    for origin in values("Origin"):
        if origin not in allowed and urlsplit(origin).netloc not in values("Host"):
            raise BadOrigin(f"Pages of {origin[:100]} may not connect.")


def _choose_codec(offered: Sequence[str]) -> tuple[Codec, str | None]:
    if not offered:
        return JSON, None
    for name in offered:
        if name in CODECS:
            return CODECS[name], name
    raise BadMessage(f"The subprotocols here are {' and '.join(CODECS)}.")


def _token_of_header(values: HeaderValues) -> str:
    for header in values("Authorization"):
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return ""


def _token_of_browser(offered: Sequence[str]) -> str:
    return next((name.removeprefix(TOKEN_PREFIX) for name in offered if name.startswith(TOKEN_PREFIX)), "")


def _token_of_url(query: str) -> str:
    tokens = parse_qs(query, max_num_fields=20).get("token")
    if not tokens:
        raise BadToken("There is no token.")
    return tokens[0]


def refuse(error: GiftingError) -> bytes:
    """An HTTP answer in place of the upgrade: problem+json (RFC 9457), as the API gives it."""
    status, body = HTTPStatus(error.status), msgspec.json.encode(problem(error))
    headers = Headers(
        {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
        }
    )
    return Response(status.value, status.phrase, headers, body).serialize()


def problem(error: GiftingError) -> dict[str, object]:
    """An error as a problem document."""
    return {
        "type": f"urn:gifting:{error.code}",
        "title": error.help,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "temporary": error.temporary,
    }
