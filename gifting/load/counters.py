"""Counters of one load process, per phase, and the discrepancies it found."""

from __future__ import annotations

import time
from array import array
from asyncio import AbstractEventLoop
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

from gifting.load.histogram import encode
from gifting.load.latency import Latencies
from gifting.load.plan import COMPLAINTS_MAX, Begin


class Phases:
    """Snapshots of counters at the boundaries of phases, and one latency record per phase."""

    def __init__(self, read: Callable[[], tuple[int, ...]]) -> None:
        self._read = read
        self._marks: list[tuple[int, ...]] = []
        self.records: list[Latencies] = []
        self.current: Latencies | None = None

    @property
    def number(self) -> int:
        """Boundaries passed: 0 before the first phase."""
        return len(self._marks)

    def schedule(self, loop: AbstractEventLoop, begin: Begin, passed: Callable[[], None] | None = None) -> None:
        """Take a snapshot at every boundary; ``passed`` is called after each."""
        now = time.monotonic_ns()
        last = len(begin.boundaries) - 1

        def mark(index: int) -> None:
            self._marks.append(self._read())
            self.current = None
            if index < last:
                self.current = Latencies()
                self.records.append(self.current)
            if passed is not None:
                passed()

        for index, boundary in enumerate(begin.boundaries):
            loop.call_later(max(0, boundary - now) / 1e9, mark, index)

    def counts(self, column: int) -> list[int]:
        """What one counter gained in each phase."""
        return [after[column] - before[column] for before, after in pairwise(self._marks)]

    def latencies(self) -> list[str]:
        return [encode(record) for record in self.records]


class Complaints:
    """Discrepancies: all counted, the first few in words."""

    def __init__(self) -> None:
        self.count = 0
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        self.count += 1
        if len(self.texts) < COMPLAINTS_MAX:
            self.texts.append(text)


class Seqs:
    """The seqs of gifts, per room: 8 bytes each."""

    def __init__(self) -> None:
        self._rooms: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))

    def add(self, room: str, seq: int) -> None:
        self._rooms[room].append(seq)

    def encode(self) -> dict[str, bytes]:
        return {room: seqs.tobytes() for room, seqs in self._rooms.items()}


class Shown:
    """Which seqs of a room were seen, in any order and as often as may be: a byte per seq up to the highest."""

    def __init__(self) -> None:
        self._rooms: defaultdict[str, bytearray] = defaultdict(bytearray)

    def add(self, room: str, seq: int) -> None:
        flags = self._rooms[room]
        if seq >= len(flags):
            flags.extend(bytes(seq + 1 - len(flags)))
        flags[seq] = 1

    def encode(self) -> dict[str, bytes]:
        """As :meth:`Seqs.encode`, in order and each once."""
        rooms = self._rooms.items()
        return {room: array("q", (seq for seq, flag in enumerate(flags) if flag)).tobytes() for room, flags in rooms}


def decode_seqs(data: bytes) -> array[int]:
    seqs = array("q")
    seqs.frombytes(data)
    return seqs
