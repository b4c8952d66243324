"""What has been credited for long enough leaves its outbox: all up to an item, or, where some is not credited, item by
item.

That it is credited was noted (``notes.py``) before another call of ``credit`` is held by a replica, which so covers the
credits, and must be so after it, in the same history. Of a destination that does not answer it can't be known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from random import random
from time import monotonic
from typing import Final, NamedTuple

from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.cluster.debit_call import Riding
from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.looks import Look
from gifting.ledger.cluster.marks import ask_held
from gifting.ledger.cluster.notes import Note, Notes
from gifting.ledger.cluster.owed import Marks, Reached, read_owed
from gifting.ledger.cluster.reach import START, Reach, Stand
from gifting.ledger.cluster.said import Said
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.stream import item_order

log = logging.getLogger(__name__)

SLACK: Final = 10_000
"""Ms for which it is left to others to trim at most, as one relay does it for all."""

ITEMS_MAX: Final = 100_000
"""Items of an outbox beyond which those that are credited are not kept."""

STEP: Final = 30_000
"""Ms of an outbox that are trimmed at once."""

PAGE: Final = 128
PAGES: Final = 16
"""Items that are read at a time, and how often in a round; the next one goes on there."""


class Due(NamedTuple):
    """Of a source: all of its outbox ``before`` an id may go, which it owed when it stood as ``credited``; or, where
    that is b"", items one by one. ``numbers``: the destinations concerned; ``note``: by what it is known.
    """

    source: int
    note: Note
    numbers: Set[int]
    credited: Stand = Stand()
    before: bytes = b""


class Trimmer:
    """Of all outboxes."""

    def __init__(
        self, redis: BinaryRedis, keys: Keys, said: Said, keeping: Keeping, time: Callable[[], float] = monotonic
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._said = said
        self._keeping = keeping
        self._notes = Notes(time)
        self._slack = 0
        self._places: dict[int, bytes] = {}

    async def trim(self, reaches: Sequence[Reach], looks: Mapping[int, Look], marks: Marks, heard: Set[int]) -> None:
        """What may go of the outboxes of those that are ``heard``, as they were looked at and ``marks`` were then."""
        due = self._all_due(reaches, looks, marks, heard)
        if not due:
            return
        self._slack = round(SLACK * random())  # noqa: S311
        numbers = {number for one in due for number in one.numbers} & heard
        after = await self._confirm({number: looks[number].stand.epoch for number in numbers})
        await asyncio.gather(*(self._trim(one, marks, after) for one in due))

    def _all_due(self, reaches: Sequence[Reach], looks: Mapping[int, Look], marks: Marks, heard: Set[int]) -> list[Due]:
        keep = self._keeping.ms
        now = self._notes.take(reaches, looks, marks, heard)
        self._notes.keep(now, keep, keep + SLACK)
        aged, older = self._notes.before(now, keep), self._notes.before(now, keep + self._slack)
        found = []
        for reach in reaches:
            look = looks[reach.source] if reach.source in heard else None
            if look and look.items > ITEMS_MAX:
                found.append(_due(reach, look, _stands(reach, aged), now, now))
            elif look and look.items and aged and older:
                found.append(_due(reach, look, _stands(reach, aged), aged, older))
        return [due for due in found if due]

    async def _confirm(self, epochs: Mapping[int, int]) -> Marks:
        """Marks of partitions, read after a call that is held there; none of one that does not take it, or is in
        another epoch.
        """
        told = await asyncio.gather(*(self._confirm_one(number, epoch) for number, epoch in epochs.items()))
        none: dict[int, Mapping[int, Reached]] = {number: {} for number in range(len(self._keys.bases))}
        return none | dict(zip(epochs, told, strict=True))

    async def _confirm_one(self, number: int, epoch: int) -> Mapping[int, Reached]:
        try:
            held = await ask_held(self._redis, self._said, self._keys.bases[number], number)
        except REDIS_ERRORS as error:
            log.info("what partition %d was credited can't be trimmed now: %s", number, error)
            return {}
        return held.marks if held.epoch == epoch else {}

    async def _trim(self, due: Due, marks: Marks, after: Marks) -> None:
        try:
            if not due.before:
                await self._pick(due, marks, after)
            elif due.credited.is_credited(due.source, after):
                await self._said.debit(due.source, Riding(epoch=due.credited.epoch, before=due.before))
        except REDIS_ERRORS as error:
            log.info("what partition %d has credited can't be trimmed now: %s", due.source, error)

    async def _pick(self, due: Due, marks: Marks, after: Marks) -> None:
        """Item by item, from the first one on, or from where the last round ended."""
        outbox, line = f"{self._keys.bases[due.source]}:outbox", f"{self._keys.bases[due.source]}:line"
        place, known = self._places.pop(due.source, START), (due.note.marks, marks, after)
        for _ in range(PAGES):
            pipe = self._redis.pipeline(transaction=True).hget(line, "epoch")
            pipe.xrange(outbox, min=b"(" + place, max=due.note.end(due.source), count=PAGE)
            epoch, items = await pipe.execute()
            gone = [one.item for one in read_owed(items) if all(map(one.is_credited, known))]
            if gone:
                await self._said.debit(due.source, Riding(epoch=int(epoch), credited=gone))
            if len(items) < PAGE:
                return
            self._places[due.source] = place = items[-1][0]


def _stands(reach: Reach, aged: Note | None) -> bool:
    """Whether one of its destinations has stood still for so long, or is not heard."""
    awaited = reach.awaited
    return bool(reach.silent or (awaited and aged and _order(awaited.last) <= _order(aged.end(reach.source))))


def _due(reach: Reach, look: Look, stands: bool, note: Note, older: Note) -> Due | None:
    """By a note; it is not worth it for less than what is known by an older one."""
    source, epoch, first = reach.source, look.stand.epoch, _order(look.first)
    if stands:
        return Due(source, note, look.stand.given.keys()) if first <= _order(older.end(source)) else None
    if first >= _order(older.whole(source, epoch).last):
        return None
    credited = note.whole(source, epoch)
    return Due(source, note, credited.given.keys(), credited, _step(first[0], credited))


def _step(began: int, credited: Stand) -> bytes:
    until = began + STEP
    return b"%d-0" % until if until <= credited.at else credited.last


def _order(item: bytes) -> tuple[int, int]:
    return item_order(item.decode())
