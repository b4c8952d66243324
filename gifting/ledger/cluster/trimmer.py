"""What is credited and old leaves its outbox: all up to an item, or, where some is not credited, item by item.

That it is credited was known before another call of ``credit`` is held by a replica, which so covers the credits, and
must be so after it. Of a destination that does not answer it can't be known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence, Set
from random import random
from typing import Final, NamedTuple

from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.cluster.debit_call import Riding
from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.looks import Look
from gifting.ledger.cluster.owed import Marks, Reached, read_mark, read_owed
from gifting.ledger.cluster.reach import ITEMS_MAX, START, Reach, Stand
from gifting.ledger.cluster.said import Said
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

log = logging.getLogger(__name__)

SLACK: Final = 10_000
"""Ms for which it is left to others to trim at most, as one relay does it for all."""

PAGE: Final = 128
PAGES: Final = 16
"""Items that are read at a time, and how often in a round; the next one goes on there."""


CONFIRMED_WITHIN: Final = 2.0
"""Seconds that a destination has for saying that what it was credited holds."""


class Due(NamedTuple):
    """Of a source: how it stood when all was credited, and the id ``before`` which its outbox may end; or, where that
    is b"", ``until`` when items were debited that may go one by one (ms). ``numbers``: the destinations concerned.
    """

    source: int
    credited: Stand
    numbers: Set[int]
    before: bytes
    until: int


class Trimmer:
    """Of all outboxes."""

    def __init__(self, redis: BinaryRedis, keys: Keys, said: Said, keeping: Keeping) -> None:
        self._redis = redis
        self._keys = keys
        self._said = said
        self._keeping = keeping
        self._slack = 0
        self._places: dict[int, bytes] = {}

    async def trim(self, reaches: Sequence[Reach], looks: Mapping[int, Look], marks: Marks, heard: Set[int]) -> None:
        """What may go of the outboxes of those that are ``heard``, as they were looked at and ``marks`` were then."""
        each = [(reach, looks[reach.source]) for reach in reaches if reach.source in heard]
        due = [one for reach, look in each if look.items and (one := self._due(reach, look))]
        if not due:
            return
        self._slack = round(SLACK * random())  # noqa: S311
        after = await self._confirm({number for one in due for number in one.numbers} & heard)
        await asyncio.gather(*(self._trim(one, marks, after) for one in due))

    def _due(self, reach: Reach, look: Look) -> Due | None:
        keep, credited = self._keeping.ms, reach.credited
        if not reach.silent and (reach.awaited is None or reach.awaited.at >= look.now - keep):
            before = reach.spare(look.first, look.items, look.now, keep, self._slack)
            return Due(reach.source, credited, credited.given.keys(), before, 0) if before else None
        until = look.now - (keep if look.items <= ITEMS_MAX else 0)
        old = Stand(last=look.first).at < until - self._slack
        return Due(reach.source, credited, look.stand.given.keys(), b"", until) if old else None

    async def _confirm(self, numbers: Set[int]) -> Marks:
        """Marks of partitions, read after a call that is held there; none of one that does not take it."""
        told = await asyncio.gather(*(self._confirm_one(number) for number in numbers))
        none: dict[int, Mapping[int, Reached]] = {number: {} for number in range(len(self._keys.bases))}
        return none | dict(zip(numbers, told, strict=True))

    async def _confirm_one(self, number: int) -> Mapping[int, Reached]:
        try:
            async with asyncio.timeout(CONFIRMED_WITHIN):
                await self._said.credit(number, ())
            return read_mark(await self._redis.hgetall(f"{self._keys.bases[number]}:marks"))
        except REDIS_ERRORS as error:
            log.info("what partition %d was credited can't be trimmed now: %s", number, error)
            return {}

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
        place = self._places.pop(due.source, START)
        for _ in range(PAGES):
            pipe = self._redis.pipeline(transaction=True).hget(line, "epoch")
            epoch, items = await pipe.xrange(outbox, min=b"(" + place, max=str(due.until), count=PAGE).execute()
            gone = [one.item for one in read_owed(items) if one.is_credited(marks) and one.is_credited(after)]
            if gone:
                await self._said.debit(due.source, Riding(epoch=int(epoch), credited=gone))
            if len(items) < PAGE:
                return
            self._places[due.source] = place = items[-1][0]
