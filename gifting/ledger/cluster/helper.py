"""What is left in an outbox is credited: what a dead node owed, and what a destination has lost again.

It is certain: a call of ``debit`` without gifts that a replica holds has been behind the reading, in the same epoch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.cluster.credit_call import APPLIED, BEFORE, EARLY, GONE, PARKED, Blob, Told
from gifting.ledger.cluster.debit_call import NOTHING_RIDES, Completion, Riding
from gifting.ledger.cluster.marks import ask_held
from gifting.ledger.cluster.owed import NOTHING, Marks, Owed, Reached, completions, read_owed
from gifting.ledger.cluster.reach import Reach
from gifting.ledger.cluster.said import Said
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.stream import item_order

log = logging.getLogger(__name__)

PAGE: Final = 32
"""Items of an outbox that are read at a time; each has the gifts of one call."""

PAGES: Final = 64
"""Pages of an outbox that are looked at in a round at most; the next one goes on there."""

BLOBS_MAX: Final = 16
"""Blobs in a call of ``credit``."""

CREDITED_WITHIN: Final = 2.0
"""Seconds that a partition has for a call; what it takes later counts in the next pass."""

UNREADABLE: Final = -1
"""In a hole, in the place of the destination: what the source owes can't be read."""

DONE: Final = (APPLIED, BEFORE)


class Hole(NamedTuple):
    """Something is missing: what that is, in a sentence, and what has been credited when nothing is any more."""

    text: str
    until: Reached = NOTHING


class Helper:
    """Of all outboxes. ``holes``, as :class:`gifting.ledger.cluster.relay.Relay` has them, are told here."""

    def __init__(self, redis: BinaryRedis, keys: Keys, said: Said, holes: dict[tuple[int, int], Hole]) -> None:
        self._redis = redis
        self._keys = keys
        self._said = said
        self.holes = holes

    async def help(self, reach: Reach, until: int, marks: Marks) -> None:
        """Page by page, what was debited until then (ms), and is not credited by these marks."""
        source = reach.source
        try:
            for _ in range(PAGES):
                if not await self._help_page(reach, until, marks):
                    reach.again()
                    break
        except REDIS_ERRORS as error:
            log.info("what partition %d owes can't be credited now: %s", source, error)
            reach.again()
        except ValueError as error:
            log.exception("what partition %d owes can't be read", source)
            text = f"What partition {source} owes can't be read ({error}): `gifting audit`."
            self.holes[source, UNREADABLE] = Hole(text)
            reach.again()

    async def _help_page(self, reach: Reach, until: int, marks: Marks) -> bool:
        """Whether there is another page."""
        source, base, place = reach.source, self._keys.bases[reach.source], reach.page(marks)
        pipe = self._redis.pipeline(transaction=True).hget(f"{base}:line", "epoch")
        pipe.xrange(f"{base}:outbox", min=b"(" + place, max=str(until), count=PAGE)
        epoch, items = await pipe.execute()
        owed = read_owed(items)
        self.holes.pop((source, UNREADABLE), None)
        if not items:
            await self._look_for_missing(reach, until)
            return False
        oldest = reach.oldest
        reach.note(item_order(items[0][0].decode())[0])  # until it is known better
        lacking = [(one, one.lacking(marks)) for one in owed]
        reach.lacking.update(*(numbers for _, numbers in lacking))
        left = {one.item: one for one, numbers in lacking if numbers}
        if some := [one for one, numbers in lacking if numbers - reach.stuck]:
            if (await self._said.debit(source, NOTHING_RIDES)).epoch != int(epoch or 0):
                return False  # what was read may be of another history
            told = await self._credit_all(reach, some)
            for item in await self._tell_source(source, int(epoch), some, told):
                left.pop(item, None)
        reach.oldest = oldest
        for one in left.values():
            reach.note(one.at)
        reach.place = items[-1][0]
        if len(items) < PAGE:
            await self._look_for_missing(reach, until)
        return len(items) == PAGE

    async def _look_for_missing(self, reach: Reach, until: int) -> None:
        """At the end of a pass: of what nothing is left behind."""
        source, missing = reach.source, reach.missing(until)
        news = {number: each for number, each in missing.items() if (source, number) not in self.holes}
        if news and (await self._said.debit(source, NOTHING_RIDES)).epoch == reach.epoch:
            await asyncio.gather(*(self._look_at(source, number, *each) for number, each in news.items()))

    async def _look_at(self, source: int, number: int, given: Reached, mark: Reached) -> None:
        try:
            held = await ask_held(self._redis, self._said, self._keys.bases[number], number)
        except REDIS_ERRORS as error:
            log.info("whether partition %d lacks gifts of %d can't be known now: %s", number, source, error)
            return
        if held.marks.get(source, NOTHING) == mark:
            names = f"partition {source} to {number}"
            log.error("gifts of %s are missing, up to number %d", names, given.seq)
            text = f"Gifts of {names} are missing, up to number {given.seq}: `gifting partitions mend`."
            self.holes[source, number] = Hole(text, given)

    async def _credit_all(self, reach: Reach, owed: Sequence[Owed]) -> dict[tuple[int, int], Told]:
        """What each partition says of each number; nothing where it can't be reached, or is stuck."""
        by_number: dict[int, list[Blob]] = {}
        for one in owed:
            for number, blob in one.blobs:
                if number not in reach.stuck:
                    by_number.setdefault(number, []).append(blob)
        told: dict[tuple[int, int], Told] = {}
        await asyncio.gather(*(self._credit(reach, number, blobs, told) for number, blobs in by_number.items()))
        return told

    async def _credit(self, reach: Reach, number: int, blobs: list[Blob], told: dict[tuple[int, int], Told]) -> None:
        source = reach.source
        reach.stuck.add(number)
        for at in range(0, len(blobs), BLOBS_MAX):
            some = blobs[at : at + BLOBS_MAX]
            try:
                async with asyncio.timeout(CREDITED_WITHIN):
                    credited = await self._said.credit(number, some)
            except REDIS_ERRORS as error:
                log.info("partition %d can't be credited what %d owes it now: %s", number, source, error)
                return
            told |= {(number, blob.seq): each for blob, each in zip(some, credited.told, strict=True)}
            if at == 0 and credited.told[0].how in (PARKED, EARLY, GONE):
                self._note_hole(source, number, blobs[0], credited.told[0])
            else:
                self.holes.pop((source, number), None)
            if credited.told[-1].how not in DONE:
                return
        reach.stuck.discard(number)

    def _note_hole(self, source: int, number: int, first: Blob, told: Told) -> None:
        """The oldest blob there is can't be taken: those before it are nowhere."""
        names = f"partition {source} to {number}"
        missing = f"numbers {told.seq + 1} to {first.seq - 1} are" if told.how != GONE else f"number {first.seq} is"
        if (source, number) not in self.holes:
            log.error("gifts of %s wait: %s missing", names, missing)
        text = f"Gifts of {names} wait, as {missing} missing: `gifting partitions mend`."
        self.holes[source, number] = Hole(text, Reached(first.seq, first.epoch))

    async def _tell_source(
        self, source: int, epoch: int, owed: Sequence[Owed], told: dict[tuple[int, int], Told]
    ) -> set[bytes]:
        """What is known of gifts. Returns the items that are credited."""
        base, reached = self._keys.bases[source], dict[int, int]()
        credited, known = set[bytes](), list[Completion]()
        for one in owed:
            each = [(number, blob, told.get((number, blob.seq))) for number, blob in one.blobs]
            for number, blob, said in each:
                if said is not None and said.how in DONE:
                    reached[number] = max(said.epoch, reached.get(number, 0))
                    known += completions(base, blob, said.results) if said.results is not None else ()
            if all(said is not None and said.how in DONE for _, _, said in each):
                credited.add(one.item)
        if known:
            await self._said.debit(source, Riding(reached, epoch, completions=known))
        return credited
