"""A private redis-server in the data directory: found, started, supervised, stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gifting.errors import BadSetting, DataDirInUse, DiskFailed, NoRedis
from gifting.health import Health
from gifting.ledger.embedded.aof import mark_clean
from gifting.ledger.embedded.binary import LOG_NAME, SOCKET_NOTE, find_binary
from gifting.ledger.embedded.datadir import flock, make_private
from gifting.ledger.embedded.process import KILL_TIMEOUT, STOP_TIMEOUT, Plan, Process, kill_group
from gifting.ledger.embedded.takeover import remove_socket, take_over
from gifting.tasks import Vital

log = logging.getLogger(__name__)

URL_NOTE: Final = "redis.url"
"""A file that says where the Redis of a data directory is, where that is no redis-server on a socket."""

SOCKET_PATH_MAX: Final = 100
"""Longest path of a unix socket, bytes; systems allow 104 to 108."""

BACKOFF_MIN, BACKOFF_MAX = 0.05, 2.0
"""Pause before a dead server is started again: first, and at most, seconds. It doubles."""

STABLE_AFTER: Final = 10.0
"""A server that lived this long starts again after the shortest pause, seconds."""


class EmbeddedRedis:
    """One redis-server on a unix socket that has every write on disk before it answers.

    ``restarts`` counts how often the supervisor brought it back. ``maxmemory`` is in bytes, 0 for no limit.
    ``env`` is added to the environment of redis-server.
    The directory's ``lock`` is held by this process; its ``redis.lock`` is handed down to redis-server.
    """

    def __init__(
        self, data_dir: Path, *, maxmemory: int = 0, env: Mapping[str, str] | None = None, vital: Vital | None = None
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.url = ""
        self.restarts = 0
        self._maxmemory = maxmemory
        self._vital = vital or Vital(Health())
        self._env = {**os.environ, **env} if env else None
        self._socket = self.data_dir / "redis.sock"
        self._lock: int | None = None
        self._redis_lock: int | None = None
        self._process: Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The running server's process id, if there is one."""
        return self._process.pid if self._process and self._process.status is None else None

    async def start(self) -> str:
        """Start the server and wait until it has loaded its data; returns its URL.

        Raises:
            DataDirInUse: another server has the directory.
            NoRedis: there is no redis-server, or it failed; the detail ends with its last words.
            BadSetting: the directory can't be made or written, or is somebody else's.
            DiskFailed: what is to be loaded can't be put on disk first.
        """
        if self._lock is not None:
            raise DataDirInUse(f"{self.data_dir} is in use by this very server.")
        try:
            await self._start()
        except OSError as error:
            await self.stop()
            raise BadSetting(f"data_dir {self.data_dir} can't be used: {error}.") from error
        except BaseException:
            await self.stop()
            raise
        return self.url

    async def stop(self) -> None:
        """End the server in order; by force after ``STOP_TIMEOUT`` or if cancelled. May be called again."""
        async with self._stopping:
            try:
                await self._end()
            finally:
                self._release()

    async def _start(self) -> None:
        await asyncio.to_thread(make_private, self.data_dir)
        self._lock = flock(self.data_dir / "lock")
        if self._lock is None:
            raise DataDirInUse(f"{self.data_dir} is in use by another server.")
        binary = await asyncio.to_thread(find_binary)
        self._redis_lock = await take_over(self.data_dir, self._socket)
        self._place_socket()
        plan = Plan(binary, self.data_dir, self._socket, self._maxmemory, self._env, self._redis_lock)
        self._process = await self._start_process(plan)
        self._supervisor = self._vital.start("redis supervisor", self._supervise(plan, self._process))

    async def _start_process(self, plan: Plan) -> Process:
        """Ready; started again if a terminal's Ctrl-C met it before it had a session of its own."""
        process = self._process = await Process.start(plan)
        try:
            await process.wait_ready()
        except NoRedis:
            if process.status != -signal.SIGINT:
                raise
            process = self._process = await Process.start(plan)
            await process.wait_ready()
        return process

    def _place_socket(self) -> None:
        if len(os.fsencode(self._socket)) > SOCKET_PATH_MAX:
            self._socket = Path(tempfile.mkdtemp(prefix="gifting-")) / "redis.sock"
        (self.data_dir / SOCKET_NOTE).write_text(str(self._socket))
        self.url = "unix://" + quote(str(self._socket))

    async def _supervise(self, plan: Plan, process: Process) -> None:
        clock = asyncio.get_running_loop().time
        pause = BACKOFF_MIN
        while True:
            begun = clock()
            status = await process.wait()
            kill_group(process.pid)
            if clock() - begun > STABLE_AFTER:
                pause = BACKOFF_MIN
            log.error("redis-server ended (%s); restart in %.2f s, see %s", status, pause, self.data_dir / LOG_NAME)
            await asyncio.sleep(pause)
            pause = min(2 * pause, BACKOFF_MAX)
            try:
                process = self._process = await Process.start(plan)
                self.restarts += 1
            except (DiskFailed, OSError) as error:
                log.error("redis-server could not be started: %s", error)

    async def _end(self) -> None:
        try:
            if self._supervisor is not None:
                self._supervisor.cancel()
                await asyncio.wait([self._supervisor])
            if self._process is not None:
                await self._process.end(signal.SIGTERM, STOP_TIMEOUT)
                if self._process.has_synced:
                    mark_clean(self.data_dir)
        finally:
            if self._process is not None:
                await self._process.end(signal.SIGKILL, KILL_TIMEOUT)

    def _release(self) -> None:
        if self._redis_lock is not None:
            remove_socket(self._socket, self.data_dir)
        for lock in (self._redis_lock, self._lock):
            if lock is not None:
                os.close(lock)
        self._redis_lock = self._lock = self._process = self._supervisor = None
        self._socket = self.data_dir / "redis.sock"


def running_url(data_dir: Path) -> str | None:
    """Where the redis-server of a data directory can be reached, if a gifting server runs on it. Writes nothing."""
    if not (data_dir / "lock").exists():
        return None
    lock = flock(data_dir / "lock")
    if lock is not None:
        os.close(lock)
        return None
    if (note := data_dir / URL_NOTE).exists():
        return note.read_text()
    return "unix://" + quote((data_dir / SOCKET_NOTE).read_text())
