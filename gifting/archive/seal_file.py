"""The seals outside the database: a file to which a line is added for each, durably."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gifting.archive.seals import Seal, read_seal
from gifting.errors import BadArchive


class SealFile:
    """Several processes may add to it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[tuple[int, int], Seal]:
        """By partition and period. A last line that was not written whole is none.

        Raises:
            BadArchive: another line is no seal, or there are two of one place.
            OSError: it can't be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        found: dict[tuple[int, int], Seal] = {}
        for number, line in enumerate(data.split(b"\n")[:-1], 1):
            try:
                seal = read_seal(line)
            except ValueError as error:
                raise BadArchive(f"{self.path}, line {number}: {error}.") from None
            if found.setdefault(seal.place, seal) != seal:
                raise BadArchive(
                    f"{self.path}, line {number}: another seal of partition {seal.partition}, {seal.period}."
                )
        return found

    def add(self, seals: Iterable[Seal]) -> int:
        """Add those that are not in it; when it returns they are on disk. Returns how many. Raises as :meth:`read`."""
        with self._locked() as descriptor:
            self._heal(descriptor)
            known = self.read()
            lines = [seal.line() for seal in seals if seal.place not in known]
            if lines:
                os.write(descriptor, b"".join(lines))
                os.fsync(descriptor)
            return len(lines)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        made = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if made:
                _sync_folder(self.path.parent)
            yield descriptor
        finally:
            os.close(descriptor)

    def _heal(self, descriptor: int) -> None:
        """A line that was not written whole is taken off: it is in the database, or was never sealed."""
        data = self.path.read_bytes()
        if not data.endswith(b"\n"):
            os.ftruncate(descriptor, data.rfind(b"\n") + 1)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
