"""A private redis-server in the data directory: found, started, supervised, stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError

from gifting.errors import BadSetting, DataDirInUse, DiskFailed, NoRedis
from gifting.health import Health
from gifting.ledger.embedded.aof import mark_clean, settle
from gifting.ledger.embedded.binary import LOG_NAME, PID_NAME, find_binary, server_command
from gifting.ledger.embedded.datadir import POLL, flock, make_private, poll_flock
from gifting.tasks import Vital

__all__ = ["EmbeddedRedis", "find_binary"]

log = logging.getLogger(__name__)

SOCKET_PATH_MAX = 100
"""Longest path of a unix socket, bytes; systems allow 104 to 108."""
ANSWER_TIMEOUT = 30.0
"""Longest wait for a new server's first answer, seconds."""
LOAD_TIMEOUT = 900.0
"""Longest wait for a new server to load its data, once it answers that it does so, seconds."""
STOP_TIMEOUT = 10.0
"""Longest orderly end of a server before it is killed, seconds."""
KILL_TIMEOUT = 5.0
"""Longest wait for a killed server to be gone, seconds."""
QUERY_TIMEOUT = 2.0
"""Longest wait for one reply, seconds."""
BACKOFF_MIN, BACKOFF_MAX = 0.05, 2.0
"""Pause before a dead server is started again: first, and at most, seconds. It doubles."""
STABLE_AFTER = 10.0
"""A server that lived this long starts again after the shortest pause, seconds."""
LOG_MAX = 10 << 20
"""Size from which redis.log is set aside as redis.log.1, bytes."""
LOG_TAIL = 4096
"""How much of the end of redis.log an error quotes at most, bytes."""


class EmbeddedRedis:
    """One redis-server on a unix socket that has every write on disk before it answers.

    ``restarts`` counts how often the supervisor brought it back. ``maxmemory`` is in bytes, 0 for no limit.
    ``env`` is added to the environment of redis-server.
    The directory's ``lock`` is held by this process; its ``redis.lock`` is handed down to redis-server, so
    that one which outlived its parent (kill -9) is noticed for sure, whatever its pid or socket.
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
        self._binary = Path()
        self._socket = self.data_dir / "redis.sock"
        self._log = self.data_dir / LOG_NAME
        self._log_start = 0
        self._lock: int | None = None
        self._redis_lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The running server's process id, if there is one."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> str:
        """Starts the server and waits until it has loaded its data; returns its URL.

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
        """Ends the server in order; by force after ``STOP_TIMEOUT`` or if cancelled. May be called again."""
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
        self._binary = await asyncio.to_thread(find_binary)
        self._redis_lock = await self._take_over()
        self._place_socket()
        self._process = await self._spawn()
        await self._wait_ready(self._process)
        self._supervisor = self._vital.start("redis supervisor", self._supervise())

    async def _take_over(self) -> int:
        """The lock that says no redis-server is at work here; ends one that a killed parent left behind."""
        path, note = self.data_dir / "redis.lock", self.data_dir / "redis.socket"
        old = Path(note.read_text()) if note.exists() else self._socket
        if (lock := flock(path)) is not None:
            return lock
        log.warning("A redis-server of an earlier run still uses %s; shutting it down.", self.data_dir)
        if await _listens(old):
            await _shut_down(old)
        else:
            _kill_group(self._noted_pid())  # the server is gone, but a rewrite that it began goes on
        lock = await poll_flock(path, STOP_TIMEOUT)
        if lock is None and (pid := await _ask_pid(old)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            lock = await poll_flock(path, KILL_TIMEOUT)
        if lock is None:
            raise DataDirInUse(f"A redis-server that does not stop (see redis.pid) uses {self.data_dir}.")
        self._remove_socket(old)
        return lock

    def _place_socket(self) -> None:
        if len(os.fsencode(self._socket)) > SOCKET_PATH_MAX:
            self._socket = Path(tempfile.mkdtemp(prefix="gifting-")) / "redis.sock"
        (self.data_dir / "redis.socket").write_text(str(self._socket))
        self.url = "unix://" + quote(str(self._socket))

    def _remove_socket(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            if path.parent != self.data_dir:
                path.parent.rmdir()

    def _noted_pid(self) -> int:
        """The process id that the last server began with; 0 if that was not noted."""
        with suppress(OSError, ValueError):
            return int((self.data_dir / PID_NAME).read_text())
        return 0

    async def _spawn(self) -> asyncio.subprocess.Process:
        await asyncio.to_thread(settle, self.data_dir)
        if self._log.exists() and self._log.stat().st_size > LOG_MAX:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as out:
            self._log_start = out.tell()
            # Its own session, so that a terminal's Ctrl-C leaves the order of the shutdown to us.
            return await asyncio.create_subprocess_exec(
                *server_command(self._binary, self.data_dir, self._socket, self._maxmemory),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._env,
                start_new_session=True,
                pass_fds=[] if self._redis_lock is None else [self._redis_lock],
            )

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> None:
        clock = asyncio.get_running_loop().time
        begun, bound = clock(), ANSWER_TIMEOUT
        async with _client(self._socket) as client:
            while process.returncode is None and clock() - begun < bound:
                try:
                    await client.ping()
                except BusyLoadingError:
                    bound = LOAD_TIMEOUT
                except RedisError:
                    pass
                else:
                    return
                await asyncio.sleep(POLL)
        raise NoRedis(f"{self._binary} did not start. It said: {self._last_words()}")

    def _last_words(self) -> str:
        with self._log.open("rb") as file:
            file.seek(max(self._log_start, self._log.stat().st_size - LOG_TAIL))
            return file.read(LOG_TAIL).decode(errors="replace").strip() or "nothing."

    def _has_synced(self) -> bool:
        """Whether a server that ended in order says so, and that its last sync worked."""
        words = self._last_words()
        return "bye bye" in words and "to fsync" not in words

    async def _supervise(self) -> None:
        clock = asyncio.get_running_loop().time
        pause = BACKOFF_MIN
        while self._process is not None:
            begun = clock()
            status = await self._process.wait()
            _kill_group(self._process.pid)
            if clock() - begun > STABLE_AFTER:
                pause = BACKOFF_MIN
            log.error("redis-server ended (%s); restart in %.2f s, see %s", status, pause, self._log)
            await asyncio.sleep(pause)
            pause = min(2 * pause, BACKOFF_MAX)
            try:
                self._process = await self._spawn()
                self.restarts += 1
            except (DiskFailed, OSError) as error:
                log.error("redis-server could not be started: %s", error)

    async def _end(self) -> None:
        try:
            if self._supervisor is not None:
                self._supervisor.cancel()
                await asyncio.wait([self._supervisor])
            await _signal(self._process, signal.SIGTERM, STOP_TIMEOUT)
            if self._process is not None and self._process.returncode == 0 and self._has_synced():
                mark_clean(self.data_dir)
        finally:
            await _signal(self._process, signal.SIGKILL, KILL_TIMEOUT)

    def _release(self) -> None:
        if self._redis_lock is not None:
            self._remove_socket(self._socket)
        for lock in (self._redis_lock, self._lock):
            if lock is not None:
                os.close(lock)
        self._redis_lock = self._lock = self._process = self._supervisor = None
        self._socket = self.data_dir / "redis.sock"


def running_url(data_dir: Path) -> str | None:
    """Where the redis-server of a data directory can be reached, if a gifting server runs on it."""
    lock = flock(data_dir / "lock")
    if lock is not None:
        os.close(lock)
        return None
    return "unix://" + quote((data_dir / "redis.socket").read_text())


def _client(socket: Path) -> Redis:
    """A client that tries once, and waits ``QUERY_TIMEOUT`` at most."""
    return Redis(unix_socket_path=str(socket), socket_timeout=QUERY_TIMEOUT, retry=Retry(NoBackoff(), 0))


async def _listens(socket: Path) -> bool:
    """Whether there is a server behind a socket, even one that does not answer."""
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    writer.close()
    return True


async def _shut_down(socket: Path) -> None:
    async with _client(socket) as client:
        with suppress(RedisError):
            await client.shutdown(now=True, force=True)


def _kill_group(pid: int) -> None:
    """End what a server that is gone has begun: a rewrite outlives it, and would fill the disk."""
    if pid > 1:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


async def _ask_pid(socket: Path) -> int | None:
    """The process behind a socket; nothing where nobody answers."""
    async with _client(socket) as client:
        with suppress(RedisError):
            return int((await client.info("server"))["process_id"])
    return None


async def _signal(process: asyncio.subprocess.Process | None, number: signal.Signals, bound: float) -> None:
    """Signals a process that still runs and waits until it is gone, at most ``bound`` seconds."""
    if process is None or process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(number)
    try:
        async with asyncio.timeout(bound):
            await process.wait()
    except TimeoutError:
        log.error("redis-server %d did not end %.0f s after %s", process.pid, bound, number.name)
