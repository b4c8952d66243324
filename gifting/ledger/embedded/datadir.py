"""The data directory: whose it is, its entry on disk, and its locks."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from gifting.errors import BadSetting
from gifting.ledger.embedded.aof import sync_directory
from gifting.ledger.embedded.binary import AOF_DIR

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

POLL: Final = 0.02
"""Pause between two looks at something waited for, seconds."""


def has_data(data_dir: Path) -> bool:
    """Whether a server has ever run in a directory. Writes nothing."""
    folder = data_dir / AOF_DIR
    return folder.is_dir() and any(folder.iterdir())


def make_private(data_dir: Path) -> None:
    """Make the directory where it is missing, on disk, and close it to others where it is open.

    Raises:
        BadSetting: it belongs to another user, who could change what is in it.
        OSError: it can't be made or closed.
    """
    missing = [path for path in (data_dir, *data_dir.parents) if not path.exists()]
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in missing:
        with suppress(PermissionError):
            sync_directory(path.parent)
    found = data_dir.stat()
    if found.st_uid != os.geteuid():
        raise BadSetting(
            f"data_dir {data_dir} belongs to user {found.st_uid}, and this is user {os.geteuid()}. "
            "Give a directory of its own, or name one to be made inside."
        )
    if (mode := stat.S_IMODE(found.st_mode)) & 0o077:
        data_dir.chmod(0o700)
        log.warning("%s had mode %04o: others of this machine could get in. It has 0700 now.", data_dir, mode)


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
