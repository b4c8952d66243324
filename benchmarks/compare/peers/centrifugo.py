"""Centrifugo, the open-source edition, as ``go install`` builds it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

from benchmarks.compare.peer import PeerError, Running
from benchmarks.compare.peers._centrifuge_protocol import CentrifugePeer
from benchmarks.compare.peers._install import go_module_version, go_program, says
from benchmarks.compare.peers._redis import private_redis
from benchmarks.compare.process import process
from gifting.ledger.embedded.ports import free_port

PROGRAM: Final = "centrifugo"
QUEUE: Final = 64 << 20
"""Bytes that may wait for one viewer: with the usual 1 MiB it is cut off after a lag of less than a second."""
HISTORY: Final = 100_000
"""Events kept in a room."""


class _Centrifugo(CentrifugePeer):
    family = "Centrifugo"
    install = "go install github.com/centrifugal/centrifugo/v6@latest"
    websocket: ClassVar[dict[str, Any]] = {}
    """Settings of its WebSocket endpoint."""
    procs: ClassVar[int | None] = None
    """GOMAXPROCS; None for as many as there are cores."""

    @classmethod
    def version(cls) -> str | None:
        found = go_program(PROGRAM)
        if found is None:
            return None
        # built with `go install` it calls itself 0.0.0
        return go_module_version(found) or says([found, "version"], r"v(\d\S+)")

    def run(self, directory: Path, rooms: Sequence[str]) -> AbstractAsyncContextManager[Running]:
        return self._server(directory, {"type": "memory"})

    @asynccontextmanager
    async def _server(self, directory: Path, engine: dict[str, Any]) -> AsyncIterator[Running]:
        program = go_program(PROGRAM)
        if program is None:
            raise PeerError(f"Centrifugo is not installed: {self.install}")
        port, config = free_port(), directory / "centrifugo.json"
        config.write_text(json.dumps(self._config(port, engine), indent=1))
        env = {"GOMAXPROCS": str(self.procs)} if self.procs else {}
        async with process([program, "--config", config], directory, "centrifugo", port, env) as pid:
            yield Running(port, (pid,))

    def _config(self, port: int, engine: dict[str, Any]) -> dict[str, Any]:
        return {
            "http_server": {"address": "127.0.0.1", "port": port},
            "log": {"level": "warn"},
            "usage_stats": {"disabled": True},
            "engine": engine,
            "websocket": self.websocket,
            "client": {
                "insecure": True,
                "allowed_origins": ["*"],
                "queue_max_size": QUEUE,
                "recovery_max_publication_limit": HISTORY,  # 300 is usual: a longer absence would not be replayed
            },
            "channel": {
                "without_namespace": {
                    "history_size": HISTORY,
                    "history_ttl": "1h",
                    "force_recovery": True,
                    "allow_subscribe_for_client": True,
                    "allow_subscribe_for_anonymous": True,
                    "allow_publish_for_client": True,
                    "allow_publish_for_anonymous": True,
                },
            },
        }


class Centrifugo(_Centrifugo):
    name = "Centrifugo"
    about = (
        "memory engine, history with force_recovery, JSON, no compression, no tokens; queue per connection raised to "
        "64 MiB, so nothing is lost"
    )


class CentrifugoTuned(_Centrifugo):
    name = "Centrifugo, one core"
    about = (
        "as Centrifugo, with pooled write buffers and GOMAXPROCS=1, which costs the least CPU; what would batch more "
        "(client.write_delay, batch_max_delay) is not in the open-source edition"
    )
    websocket: ClassVar[dict[str, Any]] = {"use_write_buffer_pool": True}
    procs = 1


class CentrifugoRedis(_Centrifugo):
    name = "Centrifugo, Redis"
    about = "as Centrifugo, with its Redis engine, so that several servers can share the rooms"

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        async with private_redis(directory) as redis:
            engine = {"type": "redis", "redis": {"address": [f"unix://{redis.socket}"]}}
            async with self._server(directory, engine) as running:
                yield Running(running.port, running.servers, (redis.pid,))
