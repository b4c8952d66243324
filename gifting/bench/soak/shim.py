"""Faults of a redis-server's clock and disk: ``faults.c``, compiled on the spot and preloaded into it."""

from __future__ import annotations

import errno
import mmap
import os
import struct
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gifting.bench import native

FIELDS: Final = ("clock_us", "sync_error", "sync_stall", "write_error", "sync_kill", "syncs", "writes")
"""The int64s of the control file, in the order of ``struct control``."""

FAULTS: Final = FIELDS[:5]
"""Those that make a fault; the others count."""

FIELD: Final = struct.Struct("=q")


class FaultShim:
    """What a ``redis-server`` that is started with :attr:`env` meets, from the next system call on.

    All of its processes, and all that are started with the same environment, share the faults; the files in question
    are its append-only files. As a ``with`` it builds itself, and leaves nothing behind.

    Args:
        program: file name of the program that is preloaded; empty: every program.
    """

    def __init__(self, program: str = "redis-server") -> None:
        self._program = program
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._control: mmap.mmap | None = None

    @staticmethod
    def available() -> bool:
        """Whether it can be built and preloaded here."""
        return native.available()

    def build(self) -> None:
        """Compile, and make the control file. Blocks for about 0.1 s. Raises :class:`StartError` where that fails."""
        self._directory = tempfile.TemporaryDirectory(prefix="gifting-faults-")
        native.compile_faults(self._library.parent)
        self._file.write_bytes(bytes(FIELD.size * len(FIELDS)))
        with self._file.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), 0)

    @property
    def env(self) -> dict[str, str]:
        """The environment of a program that is to be under its control."""
        preload = ":".join(filter(None, (str(self._library), os.environ.get("LD_PRELOAD"))))
        only = {"FAULTS_ONLY": self._program} if self._program else {}
        return {"LD_PRELOAD": preload, "FAULTS_CONTROL": str(self._file), **only}

    def step_clock(self, seconds: float) -> None:
        """Set the wall clock to so many seconds ahead of the true time (negative: behind), whatever it was before."""
        self._put("clock_us", round(seconds * 1e6))

    def fail_fsync(self, error: int = errno.EIO) -> None:
        """From now on every fsync fails, and what it was for is not written."""
        self._put("sync_error", error)

    def stall_fsync(self) -> None:
        """From now on no fsync returns before :meth:`clear`."""
        self._put("sync_stall", 1)

    def die_at_fsync(self) -> None:
        """The next fsync is not made: SIGKILL comes between it and the write before it."""
        self._put("sync_kill", 1)

    def disk_full(self, error: int = errno.ENOSPC) -> None:
        """From now on every write fails."""
        self._put("write_error", error)

    def clear(self) -> None:
        """The clock is right, and the disk as good as it is."""
        for name in FAULTS:
            self._put(name, 0)

    @property
    def syncs(self) -> int:
        """Fsyncs that met a fault so far."""
        return self._get("syncs")

    @property
    def writes(self) -> int:
        """Writes that met a fault so far."""
        return self._get("writes")

    def close(self) -> None:
        """Forget the faults and remove the files; a program that is still under control meets no more of them."""
        if self._control is not None:
            self.clear()
            self._control.close()
        if self._directory is not None:
            self._directory.cleanup()
        self._control = self._directory = None

    def __enter__(self) -> Self:
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _library(self) -> Path:
        assert self._directory is not None
        return Path(self._directory.name) / "faults.so"

    @property
    def _file(self) -> Path:
        return self._library.with_name("control")

    def _put(self, name: str, value: int) -> None:
        assert self._control is not None
        FIELD.pack_into(self._control, FIELDS.index(name) * FIELD.size, value)

    def _get(self, name: str) -> int:
        assert self._control is not None
        (value,) = FIELD.unpack_from(self._control, FIELDS.index(name) * FIELD.size)
        return int(value)
