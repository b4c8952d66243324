"""A proxy that fails on demand, between a client and a server or between a server and its Redis."""

from __future__ import annotations

import asyncio
from typing import Any, Self
from urllib.parse import unquote, urlsplit

Dialing = asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


class Proxy:
    """``async with Proxy(url) as proxy``: what is sent to ``proxy.url`` arrives at ``url`` (TCP or ``unix://``)."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._scheme = "redis" if self._target.scheme == "unix" else self._target.scheme
        self._refuses = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._dialing: set[Dialing] = set()
        self.connections = 0
        self.mute = False
        """Whatever comes back is lost."""
        self.swallowed = asyncio.Event()
        """Something was lost."""
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"{self._scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if ending := {*self._tasks, *self._dialing}:
            await asyncio.wait(ending)

    def cut(self, *, refuse: bool = False) -> None:
        """Reset every connection; with ``refuse``, new ones too until :meth:`mend`."""
        self._refuses = refuse
        for task in self._tasks:
            task.cancel()

    def mend(self) -> None:
        self._refuses = self.mute = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.scheme == "unix":
            return await asyncio.open_unix_connection(unquote(self._target.path))
        return await asyncio.open_connection(self._target.hostname, self._target.port)

    async def _dial_whole(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection whose making is broken off would stay."""
        dialing = asyncio.ensure_future(self._dial())
        self._dialing.add(dialing)
        dialing.add_done_callback(self._dialing.discard)
        try:
            return await asyncio.shield(dialing)
        except asyncio.CancelledError:
            dialing.add_done_callback(_hang_up)
            raise

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if self._refuses:
                return
            there, back = await self._dial_whole()
            writers.append(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back, returns=False))
                group.create_task(self._pump(there, writer, returns=True))
        except* (OSError, EOFError, asyncio.CancelledError):
            pass  # one end was reset, so the other is too
        finally:
            for end in writers:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: Any, *, returns: bool) -> None:
        while data := await reader.read(65536):
            if returns and self.mute:
                self.swallowed.set()
                continue
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():  # TLS can't; then the end of both ends it
            writer.write_eof()


def _hang_up(dialing: Dialing) -> None:
    if not dialing.cancelled() and dialing.exception() is None:
        dialing.result()[1].transport.abort()
