"""The archiver of a server with a private Redis: a process beside it, which gifts never wait for."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gifting.config import Settings
from gifting.tasks import end
from gifting.workers import environment

log = logging.getLogger(__name__)

RESTART_MIN, RESTART_MAX = 0.5, 60.0
"""Seconds until one that died is started again: first, and at most. It doubles."""

REFUSED: Final = 2
"""The exit status of one that refuses what it is given: that is not mended in a moment, so the longest pause comes."""

STABLE_AFTER: Final = 30.0
"""One that lived this long is started again after the shortest pause, seconds."""

STOP_WITHIN: Final = 15.0
"""Seconds it has to archive what came last, before it is killed; what is left is archived after the next start."""


@asynccontextmanager
async def archived(settings: Settings, url: str) -> AsyncIterator[None]:
    """While the context lasts, what comes into the private Redis at ``url`` is archived, and then what came last."""
    if settings.redis or not settings.archive_url():
        yield
        return
    keeper = _Keeper(environment(settings, url, "archiver"))
    task = asyncio.create_task(keeper.keep(), name="archiver")
    try:
        yield
    finally:
        await end([task])
        await keeper.stop()


class _Keeper:
    """Keeps one process running."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """For ever."""
        clock = asyncio.get_running_loop().time
        pause = RESTART_MIN
        while True:
            begun = clock()
            try:
                self._process = await self._start()
                ended: object = await self._process.wait()
            except OSError as error:
                ended = error
            if clock() - begun > STABLE_AFTER:
                pause = RESTART_MIN
            if ended == REFUSED:
                pause = RESTART_MAX
            log.error("the archiver ended with %s; another is started in %.1f s. Gifts go on", ended, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, RESTART_MAX)

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gifting", "archive", "--child"),
            env=self._env,
            stdin=asyncio.subprocess.PIPE,  # it closes when this process ends, however it does
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()  # not SIGTERM: one that has only just begun finds it all the same
        try:
            await asyncio.wait_for(self._process.wait(), STOP_WITHIN)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
