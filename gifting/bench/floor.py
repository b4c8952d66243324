"""What the kernel alone costs, and viewers that cost hardly more: both in C."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

import msgspec

from gifting.bench.driver import Driver
from gifting.bench.native import compile_drive
from gifting.bench.options import Drained
from gifting.bench.spec import Connection, Opening, encode
from gifting.errors import BenchFailed
from gifting.load.plan import Target
from gifting.wire.codec import BINARY

CONNECTIONS: Final = 2000
ROUNDS: Final = 100
SIZE: Final = 200
"""Bytes per message: about one gift event."""

RUN_WITHIN_S: Final = 120.0
CONNECT_WITHIN_S: Final = 120.0
OPEN_AT_ONCE: Final = 64
JOINED: Final = b"\xa2ok\xc3"
"""In the reply to a join that was agreed to."""


class FloorTools:
    """The compiled program, in a directory that goes with the ``with``."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="gifting-floor-")
        self.path = Path(self._directory.name)
        self._program = self.path / "drive"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    async def compile(self) -> None:
        """Raises :class:`BenchFailed` where there is no compiler."""
        await asyncio.to_thread(compile_drive, self.path)

    async def us_per_send(self) -> float:
        """CPU µs of one ``send()`` of ``SIZE`` bytes to one of ``CONNECTIONS`` loopback connections."""
        process = await asyncio.create_subprocess_exec(
            *(self._program, "floor", str(CONNECTIONS), str(ROUNDS), str(SIZE)), stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(RUN_WITHIN_S):
            output, _ = await process.communicate()
        if process.returncode:
            raise BenchFailed("The floor could not be measured.")
        return float(msgspec.json.decode(output)["us_per_send"])

    async def watch(self, target: Target, viewers: Iterable[tuple[str, bytes]], stack: AsyncExitStack) -> Drain:
        """One viewer per (token, first message), as long as the stack lasts; returns once all are in.

        Raises:
            LoadError: one was not let in.
        """
        spec = self.path / "viewers"
        spec.write_bytes(
            encode(
                (socket.gethostbyname(target.host), target.port),
                [Connection(_opening(target, token, message)) for token, message in viewers],
                at_once=OPEN_AT_ONCE,
            )
        )
        driver = await stack.enter_async_context(Driver.run(self._program, "watch", str(spec)))
        await driver.all_ready(CONNECT_WITHIN_S)
        return Drain(driver)


def _opening(target: Target, token: str, message: bytes) -> Opening:
    headers = [("Authorization", f"Bearer {token}"), ("Sec-WebSocket-Protocol", "gifting.v1.msgpack")]
    return Opening(target.path, headers, [message], BINARY, JOINED)


class Drain:
    """Viewers in C that count and throw away."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.pid = driver.pid

    async def read(self) -> Drained:
        """What was counted so far. Raises :class:`LoadError`: it ended."""
        seen = await self._driver.read()
        return Drained(
            viewers=seen.connections,
            frames=seen.frames,
            bytes=seen.bytes,
            events=seen.events,
            lost=seen.lost,
            fallen=seen.disordered,
            closes=seen.gone,
            cpu_s=seen.cpu_s,
        )
