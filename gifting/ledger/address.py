"""Where a Redis is and how one gets in: its URL, as redis-py reads it."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

from redis.asyncio.connection import SSLConnection, parse_url

from gifting.ledger.pool import CONNECT_TIMEOUT
from gifting.ledger.resp import Words

DEFAULT_HOST: Final = "localhost"
DEFAULT_PORT: Final = 6379
DEFAULT_USER: Final = "default"
"""What a URL means that does not say it."""

_ENTRY: Final = re.compile(r"(?<=://)[^/?#]*@")
"""User and password, in a URL."""

P = TypeVar("P", bound=asyncio.Protocol)


def shown(url: str) -> str:
    """The URL of a Redis or a cluster without what lets one in."""
    return _ENTRY.sub("", url).partition("?")[0]


class Address:
    """``redis://``, ``rediss://`` or ``unix://``, with the user, the password, the database and TLS options in it."""

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {**parse_url(url)}
        self._path: str | None = options.get("path")
        self._host: str = options.get("host", DEFAULT_HOST)
        self._port: int = options.get("port", DEFAULT_PORT)
        self._tls = options.get("connection_class") is SSLConnection
        self._tls_options = {name: value for name, value in options.items() if name.startswith("ssl_")}
        self._user: str = options.get("username", DEFAULT_USER)
        self._password: str | None = options.get("password")
        self._database = int(options.get("db", 0))

    async def dial(self, protocol: Callable[[], P]) -> P:
        """A new connection's protocol. Raises OSError: nobody answers, or not within :data:`CONNECT_TIMEOUT`."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            if self._path is not None:
                _, made = await loop.create_unix_connection(protocol, self._path)
            else:
                _, made = await loop.create_connection(protocol, self._host, self._port, ssl=self._context())
        return made

    def _context(self) -> ssl.SSLContext | None:
        """Read anew each time: certificates are renewed."""
        context: ssl.SSLContext | None = SSLConnection(**self._tls_options).ssl_context.get() if self._tls else None
        return context

    @property
    def greeting(self) -> list[Words]:
        """What is said first: the protocol, who we are, which database."""
        entry: Words = ("AUTH", self._user, self._password) if self._password is not None else ()
        hello: Words = ("HELLO", 3, *entry)
        return [hello, ("SELECT", self._database)] if self._database else [hello]
