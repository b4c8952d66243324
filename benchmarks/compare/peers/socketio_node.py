"""Socket.IO for Node (``node/server.js``).

Its page on performance also names the engine eiows. That one downloads the sources of Node while it is installed, which
nothing here does silently, so it is not among the configurations.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.compare.peer import PeerError, Running
from benchmarks.compare.peers._install import HERE, says
from benchmarks.compare.peers._redis import private_redis
from benchmarks.compare.peers._socketio_protocol import SocketIoPeer
from benchmarks.compare.process import process
from gifting.ledger.embedded.ports import free_port

APP: Final = HERE / "node"


class _SocketIoNode(SocketIoPeer):
    family = "Socket.IO"
    install = "cd benchmarks/compare/peers/node && npm install"

    @classmethod
    def version(cls) -> str | None:
        package = APP / "node_modules" / "socket.io" / "package.json"
        node = says([shutil.which("node") or "node", "--version"], r"v(\S+)")
        if node is None or not package.exists():
            return None
        return f"{json.loads(package.read_text())['version']}, Node {node}"

    def run(self, directory: Path, rooms: Sequence[str]) -> AbstractAsyncContextManager[Running]:
        return self._server(directory)

    @asynccontextmanager
    async def _server(self, directory: Path, *more: str) -> AsyncIterator[Running]:
        node, port = shutil.which("node"), free_port()
        if node is None:
            raise PeerError("node is not installed")
        command = [node, str(APP / "server.js"), str(port), *more]
        async with process(command, directory, "node", port, {"NODE_ENV": "production"}) as pid:
            yield Running(port, (pid,))


class SocketIo(_SocketIoNode):
    name = "Socket.IO, Redis adapter"
    about = (
        "one process with the sharded Redis adapter, WebSocket only, no compression; bufferutil, and requests "
        "forgotten, as its pages on performance and memory recommend"
    )

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        async with private_redis(directory) as redis, self._server(directory, str(redis.socket)) as running:
            yield Running(running.port, running.servers, (redis.pid,))


class SocketIoAlone(_SocketIoNode):
    name = "Socket.IO, alone"
    about = "as with the Redis adapter, with the adapter in memory: its best, where one process is all there is"
