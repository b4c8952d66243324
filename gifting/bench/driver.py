"""One process of the load in C, ``drive``, asked and told over its stdin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from gifting.load.fleet import LoadError

LINE_MAX: Final = 1 << 20
ANSWER_WITHIN_S: Final = 10.0
POLL_S: Final = 0.02


class Counters(msgspec.Struct, frozen=True):
    """What it has counted so far; ``drive.h`` says what each is, and which modes count it."""

    now_ns: int
    connections: int
    ready: int
    gone: int
    failure: str
    bytes: int
    cpu_s: float
    retries: int
    latency: list[tuple[float, int]]
    """Middles of the histogram's cells in µs, and how many latencies fell into each."""
    frames: int = 0
    events: int = 0
    lost: int = 0
    repeated: int = 0
    disordered: int = 0
    stray: int = 0
    missing: int = 0
    lossy: int = 0
    live: int = 0
    live_s: float = 0.0
    published: int = 0
    sent: int = 0
    going: int = 0
    late: int = 0
    queued: int = 0
    accepted: int = 0
    refused: int = 0
    waiting: int = 0


class Driver:
    """A process of ``drive`` that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    @asynccontextmanager
    async def run(cls, program: Path, *arguments: str) -> AsyncIterator[Driver]:
        """The process while the context lasts. It hangs up at the end."""
        process = await asyncio.create_subprocess_exec(
            *(str(program), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX,
            start_new_session=True,
        )
        try:
            yield cls(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    def tell(self, command: str) -> None:
        """One command of ``drive.c``."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")

    async def read(self) -> Counters:
        """The counters now.

        Raises:
            LoadError: it ended, or did not answer in ``ANSWER_WITHIN_S``.
        """
        assert self._process.stdout is not None
        async with self._turn:
            self.tell("?")
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    line = await self._process.stdout.readline()
            except TimeoutError:
                raise LoadError("The load did not answer: it has no time left.") from None
        if not line:
            raise LoadError("The load ended; its reason is above.")
        return msgspec.json.decode(line, type=Counters)

    async def all_ready(self, within: float) -> Counters:
        """Wait until every connection is in.

        Raises:
            LoadError: one was refused, or it took longer than ``within`` seconds.
        """
        end = asyncio.get_running_loop().time() + within
        while True:
            seen = await self.read()
            if seen.gone:
                raise LoadError(f"{seen.gone} of {seen.connections} connections were not let in: {seen.failure}")
            if seen.ready == seen.connections:
                return seen
            if asyncio.get_running_loop().time() > end:
                raise LoadError(f"Only {seen.ready} of {seen.connections} connections were in after {within:.0f} s.")
            await asyncio.sleep(POLL_S)
