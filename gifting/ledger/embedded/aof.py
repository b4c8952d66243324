"""The append-only files between two lives of a redis-server: what the next one loads is on disk before it loads it.

Linux marks a page clean after a failed fsync: a later one succeeds though the data never reached the disk, and who
loads the file meanwhile gets it from memory. Redis ends itself when a sync fails; so what a server left that did not
end in order is written anew, to other blocks of the disk, and synced there before the next server answers from it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from gifting.errors import DiskFailed
from gifting.ledger.embedded.binary import AOF_DIR

CLEAN_NAME: Final = "redis.clean"
"""A file that is there only while no redis-server is at work and the last one ended in order, all of it synced."""

CHUNK: Final = 1 << 20
"""Bytes copied at a time."""

LEFT_OVERS: Final = ("temp-rewriteaof-*", "temp-*.rdb", f"{AOF_DIR}/temp-*")
"""What a rewrite leaves that was broken off; no server looks at it again."""


def settle(data_dir: Path) -> None:
    """Make the files private and put them on disk as they will be loaded; remove what broken-off rewrites left.

    Blocks: as long as an fsync takes, and after an end out of order as long as it takes to copy all that was appended
    since the last rewrite.

    Raises:
        DiskFailed: the disk does not take it. Nothing may be served; the next call writes everything anew.
    """
    try:
        _settle(data_dir)
    except OSError as error:
        raise DiskFailed(f"The append-only files in {data_dir} can't be put on disk: {error}.") from error


def mark_clean(data_dir: Path) -> None:
    """The server has ended in order and has synced everything. Needs no fsync: a power cut also ends what it is for."""
    with suppress(OSError):
        (data_dir / CLEAN_NAME).touch(mode=0o600)


def _settle(data_dir: Path) -> None:
    folder, clean = data_dir / AOF_DIR, data_dir / CLEAN_NAME
    in_order = clean.exists()
    clean.unlink(missing_ok=True)
    for pattern in LEFT_OVERS:
        for path in data_dir.glob(pattern):
            path.unlink(missing_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for path in sorted(folder.iterdir()):
        # A base was synced before Redis took it up, or it would not be there by that name.
        if in_order or path.name.endswith((".base.rdb", ".base.aof")):
            _sync(path)
        else:
            _write_anew(path)
    for entry in (folder, data_dir):
        sync_directory(entry)
    with suppress(PermissionError):
        sync_directory(data_dir.parent)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        os.fchmod(file, 0o600)
        os.fsync(file)
    finally:
        os.close(file)


def _write_anew(path: Path) -> None:
    """Replace a file by a synced copy. By hand, since what copies inside the kernel may share the blocks instead."""
    draft = path.with_name(f"temp-{path.name}")
    copy = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with path.open("rb", buffering=0) as source, os.fdopen(copy, "wb", buffering=0) as target:
            while data := source.read(CHUNK):
                while data:
                    data = data[target.write(data) :]
            os.fsync(target.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sync_directory(path: Path) -> None:
    """Put the entries of a directory on disk, which neither Redis nor the sync of a file does."""
    entry = os.open(path, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)
