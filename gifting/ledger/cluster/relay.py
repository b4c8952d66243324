"""Relays: every node credits what another has debited and left, as a node that died has.

There is no leader. What several relays do at once is done once, as each blob is credited once; they look at different
moments, and at items only where marks say that something is left. What is between partitions that answer does not wait
for those that don't. What is credited is kept for a while, and then trimmed (``trimmer.py``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Set
from functools import partial
from random import random
from typing import Any, Final

from gifting.health import Health
from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.cluster.apiece import Apiece
from gifting.ledger.cluster.helper import UNREADABLE, Helper, Hole
from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.looks import Looks
from gifting.ledger.cluster.owed import NOTHING, Marks
from gifting.ledger.cluster.reach import Reach
from gifting.ledger.cluster.said import Said
from gifting.ledger.cluster.trimmer import Trimmer
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

log = logging.getLogger(__name__)

PERIOD: Final = 0.5
"""Seconds between two looks, on average."""

LEFT: Final = 500
"""Ms after its debit from which a gift is taken for left, and credited by whoever sees it."""

HURRIED: Final = 50
"""The same where somebody is kept waiting by it."""

PATIENCE: Final = 0.4
"""Seconds that a round waits for what it has begun: with a slow partition that goes on beside the next rounds."""

LATE: Final = 10.0
"""Seconds after which what is owed is late, and this node degraded."""

PART: Final = "relay"
"""As ``/readyz`` names it."""


class Relay:
    """``items``: those in all outboxes, kept ones too; ``fenced``: notes of credits that lost their debit; ``seconds``:
    the age of the oldest item that is left, else 0; ``holes``: pairs of partitions, source and destination, of which
    something is missing, and what that is.
    """

    def __init__(self, redis: BinaryRedis, keys: Keys, keeping: Keeping) -> None:
        self._redis = redis
        self._keys = keys
        self._keeping = keeping
        self._said: Said
        self._helper: Helper
        self._trimmer: Trimmer
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._hurried: set[int] = set()
        self._reaches = [Reach(source) for source in range(len(keys.bases))]
        self._looks = Looks(redis, keys)
        self._helping: Apiece[None] = Apiece("help", PATIENCE)
        self._trimming: Apiece[None] = Apiece("trimming", PATIENCE)
        self._silent: Set[int] = frozenset()
        self._told_silent: Set[int] = frozenset()
        self.items = self.fenced = 0
        self.seconds = 0.0
        self.holes: dict[tuple[int, int], Hole] = {}

    def use(self, said: Said) -> None:
        """The calls by which it credits; to be given before it runs."""
        self._said = said
        self._helper = Helper(self._redis, self._keys, said, self.holes)
        self._trimmer = Trimmer(self._redis, self._keys, said, self._keeping)

    def hurry(self, source: int, destination: int) -> None:
        """The second lacks something of the first: look there at once."""
        if (source, destination) not in self.holes:
            self._hurried.add(source)
            self._wanted.set()

    async def run(self, health: Health) -> None:
        """For ever: look, and tell ``health`` what stands still."""
        try:
            await self._run(health)
        finally:
            await self.close()

    async def _run(self, health: Health) -> None:
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
        """Look at all outboxes, and credit what is left there, as far as partitions answer.

        Raises RedisError, OSError: none does.
        """
        async with self._turn:
            await self._round()

    async def _round(self) -> None:
        hurried, self._hurried = self._hurried, set()
        heard = await self._looks.take()
        self._note_silent(heard)
        marks, looks = self._looks.marks, self._looks.last
        work = dict[int, Callable[[], Coroutine[Any, Any, None]]]()
        for reach in self._reaches:
            number = reach.source
            if number not in heard or number in self._helping.busy:
                continue
            look = looks[number]
            reach.see(look.stand, marks, self._silent)
            if number in hurried:
                reach.again()
                work[number] = partial(self._helper.help, reach, look.now - HURRIED, marks)
            elif reach.is_left(look.now - LEFT):
                work[number] = partial(self._helper.help, reach, look.now - LEFT, marks)
            else:
                self.holes.pop((number, UNREADABLE), None)
        self._hurried |= hurried & self._helping.busy
        await self._helping.do(work)
        self._count(marks)
        await self._trimming.do({0: partial(self._trimmer.trim, self._reaches, dict(looks), marks, heard)})

    def _note_silent(self, heard: Set[int]) -> None:
        silent = frozenset(range(len(self._reaches))) - heard
        if news := (silent & self._silent) - self._told_silent:
            log.warning("what partitions %s owe and are owed waits: they don't answer", sorted(news))
        self._told_silent, self._silent = (self._told_silent | news) & silent, silent

    def _count(self, marks: Marks) -> None:
        looks = self._looks.last
        for (source, number), hole in list(self.holes.items()):
            if number != UNREADABLE and marks[number].get(source, NOTHING).covers(hole.until):
                del self.holes[source, number]
        now = max(look.now for look in looks.values())
        oldest = [at for reach in self._reaches if (at := reach.owed_since(now - LEFT)) is not None]
        self.seconds = (now - min(oldest, default=now)) / 1000
        self.items = sum(look.items for look in looks.values())
        self.fenced = sum(look.fenced for look in looks.values())

    def _tell(self, health: Health) -> None:
        if self.holes:
            health.degrade(PART, next(iter(self.holes.values())).text)
        elif self.seconds > LATE:
            health.degrade(PART, f"Gifts that are paid are not credited for {self.seconds:.0f} s.")
        else:
            health.recover(PART)

    async def close(self) -> None:
        """End what is under way."""
        for each in (self._looks, self._helping, self._trimming):
            await each.close()
