"""The data directory's locks, and its entry on disk."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

POLL = 0.02
"""Pause between two looks at something waited for, seconds."""


def make_durable(folder: Path) -> None:
    """Makes the directory of the append-only files and puts its entry on disk, which Redis leaves out."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for parent in (folder.parent, folder.parent.parent):
        with suppress(PermissionError):
            entry = os.open(parent, os.O_RDONLY)
            try:
                os.fsync(entry)
            finally:
                os.close(entry)


def flock(path: Path) -> int | None:
    """An open file that holds an exclusive lock on ``path``; nothing where somebody else has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    except OSError:
        os.close(file)
        raise
    return file


async def poll_flock(path: Path, bound: float) -> int | None:
    """Like :func:`flock`, trying for ``bound`` seconds."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + bound
    while (file := flock(path)) is None and clock() < deadline:
        await asyncio.sleep(POLL)
    return file
