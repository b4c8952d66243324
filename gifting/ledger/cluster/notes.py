"""What a relay has seen as credited, and when that was: what is kept (``keeping.py``) is kept from then on.

A replica that lacks a credit has lost its master before that was credited, and so before it was seen, however late that
was and whatever clocks of masters say. Nobody tells another: who begins sees all anew. And what a destination was
credited may be lost and credited again between two looks; there another epoch begins, so it counts from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Final

from gifting.ledger.cluster.looks import Look
from gifting.ledger.cluster.owed import Marks, Reached
from gifting.ledger.cluster.reach import Reach, Stand

PER_KEEPING: Final = 16
"""Notes in the time for which something is kept: so much longer, by one part of these, it is kept at most."""


@dataclass(frozen=True, slots=True)
class Note:
    """Of a moment, ``at`` in seconds by this process's clock: how sources stood, and the last time that all was
    credited; and marks.
    """

    at: float
    stands: Mapping[int, Stand]
    credited: Mapping[int, Stand]
    marks: dict[int, Mapping[int, Reached]]

    def whole(self, source: int, epoch: int) -> Stand:
        """Up to where all that a source gave in this epoch was credited, and is since; as it begins: it isn't known."""
        stand = self.credited.get(source, Stand())
        return stand if stand.epoch == epoch and stand.is_credited(source, self.marks) else Stand()

    def end(self, source: int) -> bytes:
        """The last item that there was in an outbox."""
        return self.stands.get(source, Stand()).last


class Notes:
    """``time``: this process's clock, in seconds, which never goes back."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._notes: list[Note] = []
        self._epochs: dict[int, int] = {}

    def take(self, reaches: Iterable[Reach], looks: Mapping[int, Look], marks: Marks, heard: Set[int]) -> Note:
        """How it is now."""
        for number in heard:
            self._hear(number, looks[number].stand.epoch)
        stands = {number: look.stand for number, look in looks.items()}
        credited = {reach.source: reach.credited for reach in reaches}
        return Note(self._time(), stands, credited, dict(marks))

    def _hear(self, destination: int, epoch: int) -> None:
        if self._epochs.get(destination) != epoch:
            self._epochs[destination] = epoch
            for note in self._notes:
                note.marks[destination] = {}

    def keep(self, note: Note, ms: int, longest: int) -> None:
        """It may be asked for when it is ``ms`` old, up to ``longest``; if there is none that is hardly older."""
        if not self._notes or note.at - self._notes[-1].at >= ms / 1000 / PER_KEEPING:
            self._notes.append(note)
        first = self.before(note, longest)
        self._notes = [one for one in self._notes if first is None or one.at >= first.at]

    def before(self, note: Note, ms: int) -> Note | None:
        """The newest that was taken so long before that one."""
        return next((one for one in reversed(self._notes) if one.at <= note.at - ms / 1000), None)
