"""A file that is edited while the server runs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class _State(NamedTuple):
    """What changes when a file does; all 0 where there is none."""

    inode: int = 0
    size: int = 0
    changed: int = 0


class WatchedFile:
    """Tells of a change once the file has stood still from one look to the next: nobody reads what is half written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._told = self._waiting = self._look()

    def _look(self) -> _State:
        try:
            found = self.path.stat()
        except OSError:
            return _State()
        return _State(found.st_ino, found.st_size, found.st_ctime_ns)

    def changed(self) -> bool:
        """Whether it is to be read again. A look."""
        now = self._look()
        still, self._waiting = now == self._waiting, now
        if not still or now == self._told:
            return False
        self._told = now
        return True
