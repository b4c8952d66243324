"""One ``gifting serve`` of our own: for a bench, for a comparison, for a test."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import psutil

from gifting.errors import BenchFailed
from gifting.ledger.embedded.ports import free_ports

READY_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 20.0
LOG_TAIL: Final = 2000
READY_LINE: Final = re.compile(rb"gifting is ready on (https?://\S+)")


class Launcher:
    """A server process: started on a free port, which stays its own while it is down, and ended by its id.

    It is a session of its own: what ends us does not end it. As an ``async with`` it starts and stops.

    Args:
        env: settings, by their names in the environment; read at every start.
        log: file to which its stderr is added.
        prefix: words before the command, of a program that runs it.
    """

    def __init__(self, env: Mapping[str, str], log: Path, *, prefix: Sequence[str] = ()) -> None:
        self.env = dict(env)
        self.url = ""
        self.process: asyncio.subprocess.Process | None = None
        self._log = log
        self._prefix = prefix
        self._port = 0
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Of the last process."""
        assert self.process is not None
        return self.process.pid

    @property
    def port(self) -> int:
        """None that the system gives to whoever asks for any: it would be another's when this is to start again."""
        if not self._port:
            ports = free_ports()
            weakref.finalize(self, ports.release)
            self._port = ports.port
        return self._port

    async def __aenter__(self) -> Self:
        """Raises :class:`BenchFailed` as :meth:`start` does."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Return once it is ready. Raises :class:`BenchFailed` with the end of its log if it does not get so far."""
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(*self._prefix, sys.executable, "-m", "gifting", "serve", "--port", str(self.port)),
                env=os.environ | self.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(found), name="server output")
        either: list[asyncio.Future[Any]] = [found, self._reader]
        await asyncio.wait(either, timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            found.cancel()
            if self._reader.done():  # it is ending, and its exit status is still to be had
                await self._wait()
            raise BenchFailed(f"The server did not start. Its last words:\n{self.log_text()[-LOG_TAIL:]}")
        self.url = found.result()

    async def _read(self, found: asyncio.Future[str]) -> None:
        """Find the ready line, and keep the pipe empty after it."""
        assert self.process is not None
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if (match := READY_LINE.search(line)) and not found.done():
                found.set_result(match[1].decode())

    def log_text(self) -> str:
        """What it has logged so far, over all starts."""
        return self._log.read_text(errors="replace")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait; after ``STOP_WITHIN_S`` it is killed. Its exit status; 0 if it was never started."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self.process.wait()
        except TimeoutError:
            kill_family(self.process.pid)
        return await self._wait()

    async def die(self) -> None:
        """SIGKILL it, and not its Redis, which outlives it."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        await self._wait()

    async def _wait(self) -> int:
        assert self.process is not None
        status = await self.process.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=STOP_WITHIN_S)  # a worker may have it open a little longer
            self._reader.cancel()
        return status


def kill_family(pid: int) -> None:
    """SIGKILL a process and all it has started: a server's Redis would outlive it."""
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for one in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                one.kill()
