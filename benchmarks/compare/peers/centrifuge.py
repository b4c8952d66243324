"""Centrifuge, the library that Centrifugo is made of, in the smallest server on it (``centrifuge/main.go``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.compare.peer import Running
from benchmarks.compare.peers._centrifuge_protocol import CentrifugePeer
from benchmarks.compare.peers._install import HERE, says
from benchmarks.compare.peers._redis import private_redis
from benchmarks.compare.process import process
from gifting.ledger.embedded.ports import free_port

PROGRAM: Final = HERE / "centrifuge" / "bin" / "centrifuge"
QUEUE: Final = 64 << 20
"""Bytes that may wait for one viewer: with the usual 1 MiB it is cut off after a lag of less than a second."""


class _Centrifuge(CentrifugePeer):
    family = "Centrifuge"
    install = "cd benchmarks/compare/peers/centrifuge && go build -o bin/centrifuge ."
    flags: ClassVar[Sequence[str]] = ()
    procs: ClassVar[int | None] = None
    """GOMAXPROCS; None for as many as there are cores."""

    @classmethod
    def version(cls) -> str | None:
        return says([PROGRAM, "-version"], r"centrifuge v(\S+)")

    def run(self, directory: Path, rooms: Sequence[str]) -> AbstractAsyncContextManager[Running]:
        return self._server(directory)

    @asynccontextmanager
    async def _server(self, directory: Path, *more: str) -> AsyncIterator[Running]:
        port = free_port()
        command = [str(PROGRAM), "-listen", f"127.0.0.1:{port}", "-queue", str(QUEUE), *self.flags, *more]
        env = {"GOMAXPROCS": str(self.procs)} if self.procs else {}
        async with process(command, directory, "centrifuge", port, env) as pid:
            yield Running(port, (pid,))


class Centrifuge(_Centrifuge):
    name = "Centrifuge"
    about = (
        "memory broker, history with recovery, JSON, no compression, messages collected in a frame only while one is "
        "being written: what Centrifugo does by default; queue per connection raised to 64 MiB, so nothing is lost"
    )


class CentrifugeBatched(_Centrifuge):
    name = "Centrifuge, batched"
    about = (
        "as Centrifuge, and each connection collects messages for up to 50 ms (WriteDelay with its timer, no limit to "
        "a frame; Centrifugo has this in its PRO edition), commands off the read loop, pooled buffers, one core"
    )
    flags = (
        "-write-delay=50ms",
        "-write-timer",
        "-frame-max=-1",
        "-reply-at-once",  # else each step of a viewer's way in would take 50 ms
        "-off-read-loop",
        "-buffer-pool",
        "-single-flight",
        "-shared-position",
    )
    procs = 1


class CentrifugeRedis(_Centrifuge):
    name = "Centrifuge, Redis"
    about = "as Centrifuge, with its Redis broker, so that several servers can share the rooms"

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        async with (
            private_redis(directory) as redis,
            self._server(directory, "-redis", f"unix://{redis.socket}") as running,
        ):
            yield Running(running.port, running.servers, (redis.pid,))
