"""A store's own server over HTTPS: each question bounded in time and bytes, and asked again where that can help."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import httpx

from gifting.economy.providers.base import ProviderRefused
from gifting.errors import ProviderFailed

ANSWER_MAX: Final = 1024 * 1024
"""Bytes of an answer, unpacked."""

ASK_TIMEOUT: Final = 10.0
"""Seconds for one attempt, from connecting to the last byte."""

PAUSES: Final = (0.2, 1.0)
"""Seconds before each further attempt."""

_AGAIN: Final = {408, 429, 500, 502, 503, 504}

Answer = Mapping[str, Any]


class Unauthorised(ProviderFailed):
    """Our own key is not believed, or may not do that: for the operator to mend, and then it can be asked again."""


@cache
def _tls() -> ssl.SSLContext:
    """Made once: it reads all root certificates."""
    return httpx.create_ssl_context()


class Remote:
    """One server. ``name`` is for errors, ``base`` what all paths begin with."""

    def __init__(self, name: str, base: str, *, timeout: float = ASK_TIMEOUT) -> None:
        self._name = name
        self._base = base.rstrip("/")
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Let go of its connections; another question makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: Answer | None = None,
    ) -> Answer:
        """The map that is answered, empty where nothing is.

        Raises:
            ProviderRefused: the server understood and said no (any status of 4xx that waiting does not change).
            Unauthorised: 401 or 403.
            ProviderFailed: no answer, or none that can be read, in as many attempts as there are.
        """
        sent = {"headers": headers, "params": params, "data": form, "json": body}
        for pause in (*PAUSES, None):
            try:
                status, answer = await asyncio.wait_for(self._attempt(method, path, sent), self._timeout)
            except (httpx.HTTPError, TimeoutError, OSError) as error:
                status, answer = 0, type(error).__name__.encode()
            if status not in _AGAIN and status:
                return self._read(status, answer)
            if pause is not None:
                await asyncio.sleep(pause)
        raise ProviderFailed(f"{self._name} does not answer: {status or answer.decode()}.")

    async def _attempt(self, method: str, path: str, sent: Mapping[str, Any]) -> tuple[int, bytes]:
        async with self._connected().stream(method, self._base + path, **sent) as answer:
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > ANSWER_MAX:
                    raise ProviderFailed(f"{self._name} answers with more than {ANSWER_MAX} bytes.")
            return answer.status_code, body

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            usual = {"User-Agent": "gifting", "Accept": "application/json", "Accept-Encoding": "identity"}
            self._client = httpx.AsyncClient(verify=_tls(), timeout=self._timeout, headers=usual)
        return self._client

    def _read(self, status: int, body: bytes) -> Answer:
        if not 200 <= status < 300:
            no = Unauthorised if status in (401, 403) else ProviderRefused
            raise no(f"{self._name} says no ({status}): {_reason(body)}")
        try:
            answer = json.loads(body) if body.strip() else {}
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise ProviderFailed(f"{self._name} answers with something that is not understood.")
        return answer


def _reason(body: bytes) -> str:
    """The beginning of what was said, on one line, for a log."""
    return " ".join(body[:200].decode(errors="replace").split())
