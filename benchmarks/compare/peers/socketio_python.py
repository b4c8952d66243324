"""python-socketio on uvicorn (``apps/socketio_app.py``)."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.compare.peer import Opening, Running
from benchmarks.compare.peers._install import HERE, python_packages
from benchmarks.compare.peers._redis import private_redis
from benchmarks.compare.peers._socketio_protocol import SocketIoPeer
from benchmarks.compare.process import process
from gifting.ledger.embedded.ports import free_port

APP: Final = HERE / "apps" / "socketio_app.py"
READY: Final = b'42["ready"]'
"""What a client asks to be told that it is in: the server hears it after it has let the client in."""


class _SocketIoPython(SocketIoPeer):
    family = "python-socketio"
    install = "pip install -e '.[peers]'"
    ws: ClassVar[str] = "websockets-sansio"
    """uvicorn's WebSocket implementation."""

    @classmethod
    def version(cls) -> str | None:
        return python_packages("python-socketio", "uvicorn")

    def viewer(self, room: str, number: int) -> Opening:
        opening = super().viewer(room, number)
        return opening._replace(messages=(*opening.messages, READY))

    def publisher(self, room: str, number: int) -> Opening:
        opening = super().publisher(room, number)
        return opening._replace(messages=(*opening.messages, READY))

    def run(self, directory: Path, rooms: Sequence[str]) -> AbstractAsyncContextManager[Running]:
        return self._server(directory)

    @asynccontextmanager
    async def _server(self, directory: Path, *more: str) -> AsyncIterator[Running]:
        port = free_port()
        async with process([sys.executable, str(APP), str(port), self.ws, *more], directory, "server", port) as pid:
            yield Running(port, (pid,))


class SocketIoPython(_SocketIoPython):
    name = "python-socketio, Redis manager"
    about = (
        "one process on uvicorn with uvloop, AsyncRedisManager, WebSocket only, no compression; handlers one after "
        "another, so that the events of a publisher stay in order"
    )

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        async with private_redis(directory) as redis, self._server(directory, f"unix://{redis.socket}") as running:
            yield Running(running.port, running.servers, (redis.pid,))


class SocketIoPythonAlone(_SocketIoPython):
    name = "python-socketio, alone"
    about = "as with the Redis manager, with the manager in memory: its best, where one process is all there is"
