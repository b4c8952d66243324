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
from gifting.tasks import Vital

log = logging.getLogger(__name__)

RESTART_PAUSE = 0.5
"""Seconds until a worker that died is started again."""

STOP_MARGIN = 5.0
"""Seconds a worker may take to stop beyond its drain time-out, before it is killed."""


async def run_workers(
    settings: Settings, url: str, listeners: Sequence[socket.socket], vital: Vital, ready: Callable[[], None]
) -> None:
    """Keep ``settings.workers`` processes on ``listeners`` and the Redis at ``url`` until the server should end.

    Raises:
        ServerFailed: a task that must not end has ended.
    """
    find_secrets(settings)  # made, where it is kept in the data directory, before each worker reads it there
    running = [
        vital.start(f"worker {number}", _keep(_environment(settings, url, number), settings, listeners, vital.stop))
        for number in range(1, settings.workers + 1)
    ]
    ready()
    await vital.stop.wait()
    await asyncio.wait(running)
    vital.check()


async def _keep(
    environment: dict[str, str], settings: Settings, listeners: Sequence[socket.socket], stop: asyncio.Event
) -> None:
    numbers = [listener.fileno() for listener in listeners]
    while not stop.is_set():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gifting", "serve", *(f"--fd={number}" for number in numbers)),
            env=environment,
            pass_fds=numbers,
            stdin=asyncio.subprocess.PIPE,  # it closes when this process ends, however it does
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            await _stop(process, settings.drain_timeout + STOP_MARGIN)
        elif not stop.is_set():
            log.error("a worker ended with %s; another is started", process.returncode)
            await asyncio.sleep(RESTART_PAUSE)
        await ended


async def _stop(process: asyncio.subprocess.Process, timeout: float) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), timeout)
    except TimeoutError:
        process.kill()


def _environment(settings: Settings, url: str, number: int) -> dict[str, str]:
    """A worker's settings: ours, but it starts no Redis and no workers of its own, and has a name of its own."""
    values = {row.env: str(getattr(settings, row.name)) for row in table()}
    own = {"GIFTING_REDIS": url, "GIFTING_WORKERS": "1", "GIFTING_NODE": f"{settings.node_name()}-{number}"}
    return {**os.environ, **values, **own}
