"""A TCP proxy whose connections a test can cut or silence."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit


class Proxy:
    """``async with Proxy(server.url) as proxy``: what is sent to ``proxy.url`` arrives at the server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._open = True
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Break every connection, and refuse new ones until :meth:`mend`."""
        self._open = False
        for task in self._tasks:
            task.cancel()

    def mend(self) -> None:
        self._open = True
        self._speaks.set()

    def silence(self) -> None:
        """Keep back what the server says, until :meth:`mend`."""
        self._speaks.clear()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if not self._open:
                return
            there, back = await asyncio.open_connection(*self._target)
            writers.append(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, back, None))
                group.create_task(_pump(there, writer, self._speaks))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in writers:
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may: asyncio.Event | None) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            if may is not None:
                await may.wait()
            writer.write(data)
            await writer.drain()
        writer.write_eof()
