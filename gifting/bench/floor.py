"""The floor: ``benchmarks/floor.c``, compiled and run on the spot."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from gifting.bench.options import Drained
from gifting.errors import StartError
from gifting.load.plan import Target

SOURCE: Final = Path(__file__).resolve().parents[2] / "benchmarks" / "floor.c"
CONNECTIONS: Final = 2000
ROUNDS: Final = 100
SIZE: Final = 200
"""Bytes per message: about one gift event."""
DRAIN_AT_MOST_S: Final = 3600
RUN_WITHIN_S: Final = 120.0
ANSWER_WITHIN_S: Final = 5.0


class FloorTools:
    """The compiled program, in a directory that goes with the ``with``."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="gifting-floor-")
        self.path = Path(self._directory.name)
        self._program = str(self.path / "floor")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    async def compile(self) -> None:
        """Raises :class:`StartError` where there is no compiler or no source."""
        compiler = shutil.which("cc")
        if compiler is None or not SOURCE.exists():
            raise StartError("The floor needs a C compiler (`cc`) and benchmarks/floor.c from the repository.")
        process = await asyncio.create_subprocess_exec(compiler, "-O2", "-o", self._program, str(SOURCE))
        if await process.wait():
            raise StartError("benchmarks/floor.c does not compile.")

    async def us_per_send(self) -> float:
        """CPU µs of one ``send()`` of ``SIZE`` bytes to one of ``CONNECTIONS`` loopback connections."""
        process = await asyncio.create_subprocess_exec(
            *(self._program, "send", str(CONNECTIONS), str(ROUNDS), str(SIZE)), stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(RUN_WITHIN_S):
            output, _ = await process.communicate()
        if process.returncode:
            raise StartError("The floor could not be measured.")
        return float(msgspec.json.decode(output)["us_per_send"])

    async def watch(self, target: Target, lines: Iterable[tuple[str, bytes]]) -> Drain:
        """Open one viewer per (token, first message); returns once all are connected."""
        names = self.path / "viewers"
        names.write_text("".join(f"{token} {message.hex()}\n" for token, message in lines))
        process = await asyncio.create_subprocess_exec(
            *(self._program, "watch", target.host, str(target.port), target.path, str(names)),
            str(DRAIN_AT_MOST_S),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        drain = Drain(process)
        await drain.ready()
        return drain


class Drain:
    """Viewers in C that count and throw away."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(RUN_WITHIN_S):
            if await self._process.stdout.readline() != b"ready\n":
                raise StartError("The C viewers could not connect.")

    async def read(self) -> Drained:
        """What was counted so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"?")
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return msgspec.json.decode(await self._process.stdout.readline(), type=Drained)

    async def finish(self) -> Drained:
        """Hang up; what was counted in all."""
        output, _ = await self._process.communicate(b"")
        return msgspec.json.decode(output, type=Drained)

    async def close(self) -> None:
        """End it, if :meth:`finish` was not reached."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
