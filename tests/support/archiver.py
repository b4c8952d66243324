"""``gifting archive`` as a process of its own, started and killed by tests; and what it is to have done."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gifting.archive.origin import read_cursors
from gifting.archive.store import Store
from gifting.ledger.keys import Keys
from tests.support.paths import ROOT

WITHIN = 60.0
"""Longest wait, seconds."""


async def is_caught_up(redis: Any, keys: Keys) -> bool:
    """Whether all that is in the ledger is said to be archived."""
    for base in keys.bases:
        last = await redis.xrevrange(f"{base}:ledger", count=1)
        if last and await redis.get(f"{base}:archived") != last[0][0]:
            return False
    return True


async def has_all(store: Store, redis: Any, keys: Keys) -> bool:
    """The same, where the database may be one from before, of which Redis does not know yet."""
    async with store.engine.connect() as connection:
        at = await read_cursors(connection)
    if not at:
        return False
    for base, cursor in zip(keys.bases, at, strict=True):
        last = await redis.xrevrange(f"{base}:ledger", count=1)
        if last and cursor.item_id != last[0][0].decode():
            return False
    return await is_caught_up(redis, keys)


def dying(place: str, note: Path) -> dict[str, str]:
    """The environment of an archiver that kills itself there once: ``MODULE:CLASS.METHOD:OF:WHEN``."""
    path = os.pathsep.join([str(ROOT / "tests" / "support" / "crashing"), str(ROOT)])
    return {"CRASH_AT": f"{place}:archiver", "CRASH_IN": "archive", "CRASH_NOTE": str(note), "PYTHONPATH": path}


class Follower:
    """One archiver of the Redis at ``url``; its log is beside ``data``."""

    def __init__(self, url: str, archive: str, data: Path, env: dict[str, str] | None = None) -> None:
        self._command = (sys.executable, "-m", "gifting", "archive", "--redis", url, "--archive", archive)
        self._env = os.environ | {"GIFTING_DATA_DIR": str(data)} | (env or {})
        self._log = data.with_name("archiver.log")
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*self._command, env=self._env, stdout=log, stderr=log)

    async def ended(self) -> int:
        """Its exit status, when it ends by itself."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), WITHIN)

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """In order, with what came last."""
        return await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), WITHIN)

    def log(self) -> str:
        return self._log.read_text()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            await self.stop()
