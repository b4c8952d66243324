"""What partitions of a cluster keep of each other: which gifts are on their way, and how far each was credited.

A partition numbers what it sends to each other one without gaps; a *blob* is the gifts of one call under one number. It
stays in the source's outbox until it is credited, and for a while after that; the destination's *mark* says up to which
number it was. A source
that comes back without its newest numbers (a replica was promoted that lacked them) begins an *epoch* with its next:
what was credited above an epoch's base was credited without a debit, and is noted there as *fenced*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Epoch(NamedTuple):
    """A history of a source, in which it has numbered what is above ``base``, until the next begins."""

    epoch: int
    base: int


Epochs = tuple[Epoch, ...]
"""Ascending, as their bases do."""


class Mark(NamedTuple):
    """Up to which number a destination has credited a source, and the epochs of what it credited last."""

    seq: int = 0
    epochs: Epochs = ()

    @property
    def epoch(self) -> int:
        return self.epochs[-1].epoch if self.epochs else 0


class Sent(NamedTuple):
    """A gift of a blob."""

    key: bytes
    user: str
    room: str
    host: str
    coins: int


class Blob(NamedTuple):
    """The gifts of one number; the last epoch is its own."""

    seq: int
    epochs: Epochs
    gifts: tuple[Sent, ...]
    raw: bytes


class Given(NamedTuple):
    """The last number that a source gave to a destination, and the epochs of that pair."""

    seq: int = 0
    epochs: Epochs = ()


class Fence(NamedTuple):
    """Numbers of a source, ``first`` to ``last``, that were credited, and lost with their debits: in epoch ``had``, by
    the beginning of epoch ``lost``; noted ``at`` (ms).
    """

    source: int
    first: int
    last: int
    had: int
    lost: int
    at: int


@dataclass(slots=True)
class Half:
    """What one partition keeps of all others, by their numbers: as a source ``given`` and ``outbox`` (by number), as a
    destination ``marks``, ``parked`` (by number: what came before its turn) and ``fences``.
    """

    born: bool = False
    given: dict[int, Given] = field(default_factory=dict)
    outbox: dict[int, dict[int, Blob]] = field(default_factory=dict)
    marks: dict[int, Mark] = field(default_factory=dict)
    parked: dict[int, dict[int, bytes]] = field(default_factory=dict)
    fences: list[Fence] = field(default_factory=list)


def passed(mark: Mark, epochs: Epochs) -> int:
    """Up to which number a destination has credited what has these epochs: of what it credited in an earlier one, up to
    the base of the next.
    """
    return min(mark.seq, _floor(epochs, mark.epoch, mark.seq))


def waits(blob: Blob, mark: Mark) -> bool:
    """Whether a blob is still to be credited by a destination that is at ``mark``; what a later epoch lost never is."""
    own = blob.epochs[-1].epoch if blob.epochs else 0
    return passed(mark, blob.epochs) < blob.seq <= _floor(mark.epochs, own, blob.seq)


def _floor(epochs: Epochs, epoch: int, otherwise: int) -> int:
    """The base of the first epoch after ``epoch``."""
    return next((one.base for one in epochs if one.epoch > epoch), otherwise)


def holes(outbox: Mapping[int, Blob], given: Given, mark: Mark) -> list[tuple[int, int]]:
    """Numbers, from one to another, that were given and not credited, and are no longer in the outbox."""
    found, expected = [], passed(mark, given.epochs) + 1
    for seq in [*sorted(seq for seq in outbox if expected <= seq <= given.seq), given.seq + 1]:
        if seq > expected:
            found.append((expected, seq - 1))
        expected = seq + 1
    return found


def pairs(halves: Sequence[Half]) -> Iterator[tuple[int, int]]:
    """All pairs of a source and a destination between which anything was given or credited, in order."""
    for source, half in enumerate(halves):
        for destination, other in enumerate(halves):
            if destination in half.given or destination in half.outbox or source in other.marks:
                yield source, destination
