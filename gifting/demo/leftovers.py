"""A demo leaves nothing behind, however it ends: killed, too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gifting.ledger.embedded.binary import PID_NAME, SOCKET_NOTE
from gifting.ledger.embedded.datadir import flock

PREFIX: Final = "gifting-demo-"
YOUNG: Final = 60.0
"""Seconds for which a directory without a lock may be that of a demo which is just starting."""

GUARD: Final = """
trap '' INT TERM HUP
read -r _ && exit
for note in "$1/$2" "$1"/cluster/*/"$2"; do
  pid=$(cat "$note") && kill "-$3" "$pid" && while kill -0 "$pid"; do sleep 0.05; done
done
socket=$(cat "$1/redis.socket") && [ "${socket%/*}" != "$1" ] && rm -f "$socket" && rmdir "${socket%/*}"
[ "$3" = KILL ] && rm -rf "$1"
"""
"""What ``sh`` does for the data directory ``$1``. It waits for a line. If that never comes, who should have written it
was killed: then it ends each redis-server whose id is in a ``$2`` by the signal ``$3``, and after KILL all else."""


@contextmanager
def throwaway_dir() -> Iterator[str]:
    """A data directory that is gone afterwards, with the Redis that runs on it, even if this process is killed."""
    clear_leftovers()
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder, guarded(folder, "KILL"):
        yield folder


@contextmanager
def guarded(data_dir: str, how: str = "TERM") -> Iterator[None]:
    """Should this process be killed meanwhile, the Redis of ``data_dir`` ends too, by the signal ``how``."""
    guard = subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", GUARD, "gifting-guard", data_dir, PID_NAME, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with suppress(OSError):
            guard.communicate(b"all is well\n")


def clear_leftovers() -> None:
    """Remove what demos left that were killed together with their guards."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_uid == os.geteuid():
                _clear(folder)


def _clear(folder: Path) -> None:
    if not (folder / "lock").exists():
        if time.time() - folder.stat().st_mtime > YOUNG:
            shutil.rmtree(folder)
        return
    lock = flock(folder / "lock")
    if lock is None:  # a demo that runs
        return
    try:
        if (redis := flock(folder / "redis.lock")) is None:
            os.kill(int((folder / PID_NAME).read_text()), signal.SIGKILL)
        else:
            os.close(redis)
        _clear_socket(folder)
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _clear_socket(folder: Path) -> None:
    """The socket has a directory of its own where the path of ``folder`` is too long for one."""
    with suppress(OSError):
        socket = Path((folder / SOCKET_NOTE).read_text())
        if socket.parent != folder:
            socket.unlink(missing_ok=True)
            socket.parent.rmdir()
