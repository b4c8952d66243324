"""One redis-server from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError

from gifting.errors import NoRedis
from gifting.ledger.embedded.aof import settle
from gifting.ledger.embedded.binary import LOG_NAME, server_command
from gifting.ledger.embedded.datadir import POLL

log = logging.getLogger(__name__)

ANSWER_TIMEOUT: Final = 30.0
"""Longest wait for a new server's first answer, seconds."""

LOAD_TIMEOUT: Final = 900.0
"""Longest wait for a new server to load its data, once it answers that it does so, seconds."""

QUERY_TIMEOUT: Final = 2.0
"""Longest wait for one reply, seconds."""

STOP_TIMEOUT: Final = 10.0
"""Longest orderly end of a server before it is killed, seconds."""

KILL_TIMEOUT: Final = 5.0
"""Longest wait for a killed server to be gone, seconds."""

LOG_MAX: Final = 10 << 20
"""Size from which redis.log is set aside as redis.log.1, bytes."""

LOG_TAIL: Final = 4096
"""How much of the end of redis.log an error quotes at most, bytes."""


class Plan(NamedTuple):
    """What to start, and where. ``maxmemory`` is in bytes; ``lock`` an open file that the server inherits."""

    binary: Path
    data_dir: Path
    socket: Path
    maxmemory: int
    env: Mapping[str, str] | None
    lock: int


class Process:
    """A redis-server that was started by ``plan``, and since when its words are in redis.log."""

    def __init__(self, plan: Plan, process: asyncio.subprocess.Process, log_start: int) -> None:
        self._plan = plan
        self._process = process
        self._log = plan.data_dir / LOG_NAME
        self._log_start = log_start

    @classmethod
    async def start(cls, plan: Plan) -> Self:
        """Raises OSError, and DiskFailed: what is to be loaded can't be put on disk first."""
        await asyncio.to_thread(settle, plan.data_dir)
        path = plan.data_dir / LOG_NAME
        if path.exists() and path.stat().st_size > LOG_MAX:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as out:
            log_start = out.tell()
            # Its own session, so that a terminal's Ctrl-C leaves the order of the shutdown to us.
            process = await asyncio.create_subprocess_exec(
                *server_command(plan.binary, plan.data_dir, plan.socket, plan.maxmemory),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=plan.env,
                start_new_session=True,
                pass_fds=[plan.lock],
            )
        return cls(plan, process, log_start)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Until it has ended; how it did."""
        return await self._process.wait()

    async def wait_ready(self) -> None:
        """Until it answers, with all its data loaded.

        Raises:
            NoRedis: it ended before, or took too long; the detail ends with its last words.
        """
        clock = asyncio.get_running_loop().time
        begun, bound = clock(), ANSWER_TIMEOUT
        async with client_at(self._plan.socket) as client:
            while self.status is None and clock() - begun < bound:
                try:
                    await client.ping()
                except BusyLoadingError:
                    bound = LOAD_TIMEOUT
                except RedisError:
                    pass
                else:
                    return
                await asyncio.sleep(POLL)
        raise NoRedis(f"{self._plan.binary} did not start. It said: {self._last_words()}")

    async def end(self, number: signal.Signals, bound: float) -> None:
        """Signal it if it still runs, and wait until it is gone, at most ``bound`` seconds."""
        if self.status is not None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            async with asyncio.timeout(bound):
                await self._process.wait()
        except TimeoutError:
            log.error("redis-server %d did not end %.0f s after %s", self.pid, bound, number.name)

    @property
    def has_synced(self) -> bool:
        """Whether it ended in order, says so, and its last sync worked."""
        if self.status != 0:
            return False
        words = self._last_words()
        return "bye bye" in words and "to fsync" not in words

    def _last_words(self) -> str:
        with self._log.open("rb") as file:
            file.seek(max(self._log_start, self._log.stat().st_size - LOG_TAIL))
            return file.read(LOG_TAIL).decode(errors="replace").strip() or "nothing."


def client_at(socket: Path) -> Redis:
    """A client that tries once, and waits ``QUERY_TIMEOUT`` at most."""
    return Redis(unix_socket_path=str(socket), socket_timeout=QUERY_TIMEOUT, retry=Retry(NoBackoff(), 0))


def kill_group(pid: int) -> None:
    """End what a server that is gone has begun: a rewrite outlives it, and would fill the disk."""
    if pid > 1:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
