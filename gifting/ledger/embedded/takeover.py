"""The redis-server that a killed parent left behind in a data directory: noticed for sure, and ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

from redis.exceptions import RedisError

from gifting.errors import DataDirInUse
from gifting.ledger.embedded.binary import PID_NAME, SOCKET_NOTE
from gifting.ledger.embedded.datadir import flock, poll_flock
from gifting.ledger.embedded.process import KILL_TIMEOUT, STOP_TIMEOUT, client_at, kill_group

log = logging.getLogger(__name__)


async def take_over(data_dir: Path, usual_socket: Path) -> int:
    """An open file: the lock that says no other redis-server is at work here.

    Every server inherits it, so one that outlived its parent (kill -9) holds it whatever its pid or socket.

    Raises:
        DataDirInUse: a server has it that does not end.
    """
    path, note = data_dir / "redis.lock", data_dir / SOCKET_NOTE
    socket = Path(note.read_text()) if note.exists() else usual_socket
    if (lock := flock(path)) is not None:
        return lock
    log.warning("A redis-server of an earlier run still uses %s; shutting it down.", data_dir)
    if await _listens(socket):
        await _shut_down(socket)
    else:
        kill_group(_noted_pid(data_dir))  # the server is gone, but a rewrite that it began goes on
    lock = await poll_flock(path, STOP_TIMEOUT)
    if lock is None and (pid := await _ask_pid(socket)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        lock = await poll_flock(path, KILL_TIMEOUT)
    if lock is None:
        raise DataDirInUse(f"A redis-server that does not stop (see redis.pid) uses {data_dir}.")
    remove_socket(socket, data_dir)
    return lock


def remove_socket(path: Path, data_dir: Path) -> None:
    """And the directory that was made for it, if that is another."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        if path.parent != data_dir:
            path.parent.rmdir()


def _noted_pid(data_dir: Path) -> int:
    """The process id that the last server began with; 0 if that was not noted."""
    with suppress(OSError, ValueError):
        return int((data_dir / PID_NAME).read_text())
    return 0


async def _listens(socket: Path) -> bool:
    """Whether there is a server behind a socket, even one that does not answer."""
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    writer.close()
    return True


async def _shut_down(socket: Path) -> None:
    async with client_at(socket) as client:
        with suppress(RedisError):
            await client.shutdown(now=True, force=True)


async def _ask_pid(socket: Path) -> int | None:
    """The process behind a socket; nothing where nobody answers."""
    async with client_at(socket) as client:
        with suppress(RedisError):
            return int((await client.info("server"))["process_id"])
    return None
