"""Servers as processes: started, waited for, ended by their ids."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from benchmarks.compare.peer import PeerError

START_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 15.0
POLL_S: Final = 0.02
LAST_WORDS: Final = 2000


@asynccontextmanager
async def running(
    command: Sequence[str], log: Path, ready: re.Pattern[str], environment: Mapping[str, str]
) -> AsyncIterator[tuple[int, re.Match[str]]]:
    """A process while the context lasts: its pid, and what ``ready`` matched in its output, which goes to ``log``.

    Raises:
        PeerError: it ended or did not say so in ``START_WITHIN_S``; with its last words.
    """
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=dict(environment),
            start_new_session=True,
        )
    try:
        yield process.pid, await _said(process, log, ready)
    finally:
        await _stop(process)


async def _said(process: asyncio.subprocess.Process, log: Path, ready: re.Pattern[str]) -> re.Match[str]:
    def said() -> str:
        return log.read_text(errors="replace")

    with suppress(TimeoutError):
        async with asyncio.timeout(START_WITHIN_S):
            while process.returncode is None:
                if found := ready.search(said()):
                    return found
                await asyncio.sleep(POLL_S)
    raise PeerError(f"It did not start. Its last words:\n{said()[-LAST_WORDS:]}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    family = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    for one in family:  # what outlived it; psutil knows a pid that was given to another process
        with suppress(psutil.Error):
            one.kill()
    if process.returncode is None:
        process.kill()
        await process.wait()
