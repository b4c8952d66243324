"""Several server processes behind one socket: started, watched, started again when they die, and stopped together."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from gifting.config import Settings, table
from gifting.signing.secretfile import find_secrets
from gifting.tasks import Vital, end

log = logging.getLogger(__name__)

RESTART_PAUSE = 0.5
"""Seconds until a worker that died is started again."""

STOP_MARGIN = 5.0
"""Seconds a worker may take to stop beyond its drain time-out, before it is killed."""

RELOAD = b"reload\n"
"""What is said to workers, and by them."""


async def run_workers(
    settings: Settings, url: str, listeners: Sequence[socket.socket], vital: Vital, ready: Callable[[], None]
) -> None:
    """Keep ``settings.workers`` processes on ``listeners`` and the Redis at ``url`` until the server should end.

    Raises:
        ServerFailed: a task that must not end has ended.
    """
    find_secrets(settings)  # made, where it is kept in the data directory, before each worker reads it there
    workers = _Workers(settings, listeners, vital)
    running = [
        vital.start(f"worker {number}", workers.keep(environment(settings, url, str(number))))
        for number in range(1, settings.workers + 1)
    ]
    reloading = vital.start("reload", workers.pass_on())
    ready()
    await vital.stop.wait()
    await asyncio.wait(running)
    await end([reloading])
    vital.check()


class _Workers:
    """The processes. One that has read the files again says so on its stdout; the others are told to on their stdin."""

    def __init__(self, settings: Settings, listeners: Sequence[socket.socket], vital: Vital) -> None:
        self._settings = settings
        self._numbers = [listener.fileno() for listener in listeners]
        self._vital = vital
        self._processes: set[asyncio.subprocess.Process] = set()

    async def keep(self, environment: dict[str, str]) -> None:
        """Keep one running until the server should end."""
        stop = self._vital.stop
        while not stop.is_set():
            process = await self._start(environment)
            self._processes.add(process)
            ended = asyncio.create_task(self._hear(process))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            self._processes.discard(process)
            if not ended.done():
                await _stop(process, self._settings.drain_timeout + STOP_MARGIN)
            elif not stop.is_set():
                log.error("a worker ended with %s; another is started", process.returncode)
                await asyncio.sleep(RESTART_PAUSE)
            await ended

    async def _start(self, environment: dict[str, str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gifting", "serve", *(f"--fd={number}" for number in self._numbers)),
            env=environment,
            pass_fds=self._numbers,
            stdin=asyncio.subprocess.PIPE,  # it closes when this process ends, however it does
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        """Until it has ended."""
        assert process.stdout is not None
        async for line in process.stdout:
            if line == RELOAD:
                self._tell(but=process)
        await process.wait()

    async def pass_on(self) -> None:
        """For ever: when the files should be read again, tell every worker."""
        while True:
            await self._vital.reload.wait()
            self._vital.reload.clear()
            self._tell()

    def _tell(self, but: asyncio.subprocess.Process | None = None) -> None:
        """Also one that has only just begun: it finds the line when it can read the files."""
        for process in self._processes - {but}:
            if process.stdin is not None and not process.stdin.is_closing():
                process.stdin.write(RELOAD)


async def _stop(process: asyncio.subprocess.Process, timeout: float) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), timeout)
    except TimeoutError:
        process.kill()


def environment(settings: Settings, url: str, name: str) -> dict[str, str]:
    """The settings of a process of this server: ours, but it starts no Redis, no workers and no archiver of its own,
    and has a name of its own.
    """
    values = {row.env: str(getattr(settings, row.name)) for row in table()}
    own = {"GIFTING_REDIS": url, "GIFTING_WORKERS": "1", "GIFTING_NODE": f"{settings.node_name()}-{name}"}
    return {**os.environ, **values, **own, "GIFTING_ARCHIVE": settings.archive_url() or "off"}
