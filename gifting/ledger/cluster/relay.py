"""Relays: every node credits what another has debited and left, as a node that died has.

There is no leader. What several relays do at once is done once, as each blob is credited once; they look at different
moments, and at items only where marks say that something is left. What is credited is kept for a while, and then
trimmed here (``reach.py``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from random import random
from typing import Final, NamedTuple

from gifting.health import Health
from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.clock import in_ms
from gifting.ledger.cluster.debit_call import Riding
from gifting.ledger.cluster.helper import Helper, ask_marks
from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.owed import NOTHING, read_given
from gifting.ledger.cluster.reach import START, Reach, Stand
from gifting.ledger.cluster.said import Said
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

log = logging.getLogger(__name__)

PERIOD: Final = 0.5
"""Seconds between two looks, on average."""

LEFT: Final = 500
"""Ms after its debit from which a gift is taken for left, and credited by whoever sees it."""

HURRIED: Final = 50
"""The same where somebody is kept waiting by it."""

SLACK: Final = 10_000
"""Ms for which it is left to others to trim at most, as one relay does it for all."""

LATE: Final = 10.0
"""Seconds after which what is owed is late, and this node degraded."""

PART: Final = "relay"
"""As ``/readyz`` names it."""


class Look(NamedTuple):
    """At a source: its outbox's first item, or b"", and how many there are; its notes of lost debits; how it stands."""

    first: bytes
    items: int
    fenced: int
    stand: Stand


class Relay:
    """``items``: those in all outboxes, kept ones too; ``fenced``: notes of credits that lost their debit; ``seconds``:
    the age of the oldest item that is left, else 0; ``holes``: pairs of partitions, source and destination, that stand
    still because something is missing, and what that is.
    """

    def __init__(self, redis: BinaryRedis, keys: Keys, keeping: Keeping) -> None:
        self._redis = redis
        self._keys = keys
        self._keeping = keeping
        self._said: Said
        self._helper: Helper
        self._wanted = asyncio.Event()
        self._hurried: set[int] = set()
        self._reaches = [Reach(source) for source in range(len(keys.bases))]
        self._slack = 0
        self.items = self.fenced = 0
        self.seconds = 0.0
        self.holes: dict[tuple[int, int], str] = {}

    def use(self, said: Said) -> None:
        """The calls by which it credits; to be given before it runs."""
        self._said = said
        self._helper = Helper(self._redis, self._keys, said, self._keeping, self.holes)

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
        looks = await self._look()
        for reach in self._reaches:
            if reach.source in hurried:
                reach.again()
                await self._helper.help(reach, now - HURRIED)
            elif reach.awaited is not None and reach.awaited.at <= now - LEFT:
                await self._helper.help(reach, now - LEFT)
        oldest = [reach.oldest for reach in self._reaches if reach.oldest is not None]
        self.seconds = max(now - min(oldest, default=now), 0) / 1000
        await self._shorten(looks, now)

    async def _look(self) -> list[Look]:
        """How sources stand, and then what marks say of that."""
        looks = await asyncio.gather(*(self._look_at(base) for base in self._keys.bases))
        marks = await ask_marks(self._redis, self._keys)
        for reach, look in zip(self._reaches, looks, strict=True):
            reach.see(look.stand, marks)
        for source, number in list(self.holes):
            if marks[number].get(source, NOTHING).covers(looks[source].stand.given.get(number, NOTHING)):
                del self.holes[source, number]
        self.items, self.fenced = sum(look.items for look in looks), sum(look.fenced for look in looks)
        return looks

    async def _look_at(self, base: str) -> Look:
        pipe = self._redis.pipeline(transaction=True)
        pipe.hgetall(f"{base}:line").xlen(f"{base}:outbox").xlen(f"{base}:fenced")
        pipe.xrange(f"{base}:outbox", count=1).xrevrange(f"{base}:outbox", count=1)
        line, items, fenced, first, last = await pipe.execute()
        stand = Stand(int(line.get(b"epoch") or 0), last[0][0] if last else START, read_given(line))
        return Look(first[0][0] if first else b"", items, fenced, stand)

    def _tell(self, health: Health) -> None:
        if self.holes:
            health.degrade(PART, f"{next(iter(self.holes.values()))} `gifting partitions mend` credits them.")
        elif self.seconds > LATE:
            health.degrade(PART, f"Gifts that are paid are not credited for {self.seconds:.0f} s.")
        else:
            health.recover(PART)

    # What is credited and old.

    async def _shorten(self, looks: Sequence[Look], now: int) -> None:
        """Let go what is kept no longer; that it is credited must hold, and still be so."""
        each, keep = zip(self._reaches, looks, strict=True), self._keeping.ms
        due = [
            (reach, reach.spare(look.first, look.items, now, keep, self._slack)) for reach, look in each if look.items
        ]
        due = [(reach, before) for reach, before in due if before]
        if not due:
            return
        self._slack = round(SLACK * random())  # noqa: S311
        try:
            numbers = {number for reach, _ in due for number in reach.credited.given}
            await asyncio.gather(*(self._said.credit(number, ()) for number in numbers))
            marks = await ask_marks(self._redis, self._keys)
            for reach, before in due:
                if reach.credited.is_credited(reach.source, marks):
                    await self._said.debit(reach.source, Riding(epoch=reach.credited.epoch, before=before))
        except REDIS_ERRORS as error:
            log.info("what is credited can't be trimmed now: %s", error)
