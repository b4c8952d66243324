"""Relays: every node credits what another has debited and left, as a node that died has.

There is no leader. What several relays do at once is done once, as each blob is credited once; they look at different
moments, and at the marks first. What is relayed is certain: a call of ``debit`` without gifts that a replica holds has
been behind the reading, in the same epoch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from random import random
from typing import Final

from gifting.health import Health
from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.clock import in_ms
from gifting.ledger.cluster.credit_call import APPLIED, BEFORE, EARLY, GONE, PARKED, Blob, Told
from gifting.ledger.cluster.debit_call import NOTHING_RIDES, Completion, Riding
from gifting.ledger.cluster.owed import Owed, completions, passed, read_owed
from gifting.ledger.cluster.said import Said
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.stream import item_order

log = logging.getLogger(__name__)

PERIOD: Final = 0.5
"""Seconds between two looks, on average."""

LEFT: Final = 500
"""Ms after its debit from which a gift is taken for left, and credited by whoever sees it."""

HURRIED: Final = 50
"""The same where somebody is kept waiting by it."""

KEPT: Final = 3000
"""Ms for which what is credited is left to the node that has debited it, to be trimmed with its next call."""

PAGE: Final = 32
"""Items of an outbox that are read at a time; each has the gifts of one call."""

BLOBS_MAX: Final = 16
"""Blobs in a call of ``credit``."""

LATE: Final = 10.0
"""Seconds after which what is owed is late, and this node degraded."""

PART: Final = "relay"
"""As ``/readyz`` names it."""

DONE: Final = (APPLIED, BEFORE)


class Relay:
    """``items``: those in all outboxes; ``fenced``: notes of credits that lost their debit; ``seconds``: the age of the
    oldest item that is left, else 0; ``holes``: pairs of partitions, source and destination, that stand still because
    something is missing, and what that is.
    """

    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._said: Said
        self._wanted = asyncio.Event()
        self._hurried: set[int] = set()
        self.items = self.fenced = 0
        self.seconds = 0.0
        self.holes: dict[tuple[int, int], str] = {}

    def use(self, said: Said) -> None:
        """The calls by which it credits; to be given before it runs."""
        self._said = said

    def hurry(self, source: int, destination: int) -> None:
        """The second lacks something of the first: look there at once."""
        if (source, destination) not in self.holes:
            self._hurried.add(source)
            self._wanted.set()

    async def run(self, health: Health) -> None:
        """For ever: look, and tell ``health`` what stands still."""
        while True:
            try:
                await asyncio.wait_for(self._wanted.wait(), PERIOD * (0.5 + random()))  # noqa: S311
                self._wanted.clear()
                await asyncio.sleep(HURRIED / 1000)
            except TimeoutError:
                pass
            try:
                await self.round()
                self._tell(health)
            except REDIS_ERRORS as error:
                log.warning("the outboxes can't be read: %s", error)

    async def round(self) -> None:
        """Look at all outboxes, and credit what is left there. Raises RedisError, OSError."""
        hurried, self._hurried = self._hurried, set()
        now = in_ms(await self._redis.time())
        oldest = await self._look(now)
        for source, base in enumerate(self._keys.bases):
            if source in hurried or base in oldest:
                await self._help(source, now - (HURRIED if source in hurried else LEFT))

    async def _look(self, now: int) -> dict[str, int]:
        """When the oldest item that is left was debited, of those partitions that have one."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._keys.bases:
            pipe.xlen(f"{base}:outbox").xrange(f"{base}:outbox", max=str(now - LEFT), count=1).xlen(f"{base}:fenced")
        found = await pipe.execute()
        left = zip(self._keys.bases, found[1::3], strict=True)
        oldest = {base: item_order(items[0][0].decode())[0] for base, items in left if items}
        self.items, self.fenced = sum(found[::3]), sum(found[2::3])
        self.seconds = max(now - min(oldest.values(), default=now), 0) / 1000
        return oldest

    def _tell(self, health: Health) -> None:
        if self.holes:
            health.degrade(PART, f"{next(iter(self.holes.values()))} `gifting audit` names the gifts.")
        elif self.seconds > LATE:
            health.degrade(PART, f"Gifts that are paid are not credited for {self.seconds:.0f} s.")
        else:
            health.recover(PART)

    # One outbox.

    async def _help(self, source: int, until: int) -> None:
        """Page by page, as long as all of a page can be credited."""
        try:
            while await self._help_page(source, until) == PAGE:
                pass
        except REDIS_ERRORS as error:
            log.info("what partition %d owes can't be credited now: %s", source, error)
        except ValueError as error:
            log.exception("what partition %d owes can't be read", source)
            self.holes[source, source] = f"What partition {source} owes can't be read: {error}."

    async def _help_page(self, source: int, until: int) -> int:
        """Returns how many items are credited, and gone from the outbox."""
        base = self._keys.bases[source]
        pipe = self._redis.pipeline(transaction=True).hget(f"{base}:line", "epoch")
        epoch, items = await pipe.xrange(f"{base}:outbox", max=str(until), count=PAGE).execute()
        owed = await self._left(source, read_owed(items), until)
        if not owed:
            return 0
        if (await self._said.debit(source, NOTHING_RIDES)).epoch != int(epoch or 0):
            return 0  # what was read may be of another history
        told = await self._credit_all(source, owed)
        return await self._trim(source, int(epoch), owed, told)

    async def _left(self, source: int, owed: list[Owed], until: int) -> list[Owed]:
        """Those that have something to be credited, or were not trimmed by who has credited them."""
        numbers = sorted({number for one in owed for number, _ in one.blobs})
        pipe = self._redis.pipeline(transaction=False)
        for number in numbers:
            pipe.hget(f"{self._keys.bases[number]}:marks", str(source))
        marks = dict(zip(numbers, await pipe.execute(), strict=True)) if numbers else {}
        return [
            one
            for one in owed
            if one.at < until - KEPT or not all(passed(marks[number], blob) for number, blob in one.blobs)
        ]

    async def _credit_all(self, source: int, owed: Sequence[Owed]) -> dict[tuple[int, int], Told]:
        """What each partition says of each number; nothing where it can't be reached."""
        by_number: dict[int, list[Blob]] = {}
        for one in owed:
            for number, blob in one.blobs:
                by_number.setdefault(number, []).append(blob)
        told: dict[tuple[int, int], Told] = {}
        await asyncio.gather(*(self._credit(source, number, blobs, told) for number, blobs in by_number.items()))
        return told

    async def _credit(self, source: int, number: int, blobs: list[Blob], told: dict[tuple[int, int], Told]) -> None:
        for at in range(0, len(blobs), BLOBS_MAX):
            some = blobs[at : at + BLOBS_MAX]
            try:
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

    def _note_hole(self, source: int, number: int, first: Blob, told: Told) -> None:
        """The oldest blob there is can't be taken: those before it are nowhere."""
        names = f"partition {source} to {number}"
        missing = f"numbers {told.seq + 1} to {first.seq - 1} are" if told.how != GONE else f"number {first.seq} is"
        if (source, number) not in self.holes:
            log.error("gifts of %s wait: %s missing", names, missing)
        self.holes[source, number] = f"Gifts of {names} wait, as {missing} missing."

    async def _trim(self, source: int, epoch: int, owed: Sequence[Owed], told: dict[tuple[int, int], Told]) -> int:
        base, reached = self._keys.bases[source], dict[int, int]()
        gone, known = list[bytes](), list[Completion]()
        for one in owed:
            each = [(number, blob, told.get((number, blob.seq))) for number, blob in one.blobs]
            for number, blob, said in each:
                if said is not None and said.how in DONE:
                    reached[number] = max(said.epoch, reached.get(number, 0))
                    known += completions(base, blob, said.results) if said.results is not None else ()
            if all(said is not None and said.how in DONE for _, _, said in each):
                gone.append(one.item)
        if gone or known:
            await self._said.debit(source, Riding(reached, epoch, gone, known))
        return len(gone)
