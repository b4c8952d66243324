"""What waits for somebody: payouts that are under way, reversals that are half done, support cases that are open.

Read once a minute for the metrics, and for operators who ask; in pages, so that it takes Redis little however much
waits.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.model.payout_times import since
from gifting.model.payouts import ASK_EVERY, IN_REVIEW, OPEN, Payout, State, state, unpack_payout

EVERY: Final = 60_000
"""ms between two readings."""

PAGE: Final = 1000
"""Payouts of one partition that are read at most, of those to look at by now, and of those in review as well."""

STUCK: Final = "stuck"
"""What is on its way and does not arrive, nor come back: somebody must look."""

STATES: Final = (*map(str, OPEN), STUCK)


class Waiting:
    """As of the last :meth:`read`: ``payouts`` by what they wait for, and of each the seconds that one has the
    longest; their ``money`` by currency, in minor units; how many ``reversals`` and ``cases``, and the oldest's age.
    """

    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._read_at = -EVERY
        self.payouts: Counter[str] = Counter(dict.fromkeys(STATES, 0))
        self.oldest: dict[str, float] = dict.fromkeys(STATES, 0.0)
        self.money: Counter[str] = Counter()
        self.reversals = self.cases = 0
        self.reversals_age = self.cases_age = 0.0

    async def read(self, now: int) -> None:
        """At ``now``, ms by Redis' clock; what was read less than a minute ago stands. Raises RedisError, OSError."""
        if abs(now - self._read_at) < EVERY:
            return
        found = await self.open_payouts(now)
        self.payouts = Counter(dict.fromkeys(STATES, 0))
        self.oldest = dict.fromkeys(STATES, 0.0)
        self.money = Counter(dict.fromkeys(self.money, 0))
        for payout in found:
            what, began = waits_for(payout)
            self.payouts[what] += 1
            self.money[payout.currency] += payout.amount
            self.oldest[what] = max(self.oldest[what], _age(now, began))
        self.reversals, self.reversals_age = await self._queued(now, [f"{base}:reversals" for base in self._keys.bases])
        self.cases, self.cases_age = await self._queued(now, [self._keys.open_cases])
        self._read_at = now

    async def open_payouts(self, now: int) -> list[Payout]:
        """Payouts that are under way, who waits longest first, :data:`PAGE` of a partition at least. Raises RedisError,
        OSError.
        """
        pipe = self._redis.pipeline(transaction=False)
        for base in self._keys.bases:
            pipe.zrangebyscore(f"{base}:payouts", "-inf", now + ASK_EVERY, 0, PAGE)
            pipe.zrangebyscore(f"{base}:payouts", IN_REVIEW, "+inf", 0, PAGE)
        for places in await pipe.execute():
            for place in places:
                host, _, payout_id = place.decode().partition("\n")
                pipe.hget(self._keys.payouts_of(host)[0], payout_id)
        found = [unpack_payout(packed) for packed in await pipe.execute() if packed]
        return sorted((one for one in found if state(one) in OPEN), key=lambda one: waits_for(one)[1])

    async def _queued(self, now: int, names: list[str]) -> tuple[int, float]:
        """How many there are in some queues, and the age of what is first in one."""
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.zcard(name).zrange(name, 0, 0, withscores=True)
        said = await pipe.execute()
        first = [_age(now, int(at)) for queued in said[1::2] for _, at in queued]
        return sum(said[::2]), max(first, default=0.0)


def waits_for(payout: Payout) -> tuple[str, int]:
    """What one that is under way waits for, of :data:`STATES`, and since when (ms). What no provider has taken yet
    waits to be sent, however often that was tried.
    """
    if state(payout) is not State.PROCESSING:
        return str(state(payout)), since(payout)
    if payout.stuck_at:
        return STUCK, payout.stuck_at
    if payout.sent_at:
        return str(State.PROCESSING), payout.sent_at
    return str(State.REQUESTED), payout.decided_at or payout.created


def _age(now: int, at: int) -> float:
    return max(now - at, 0) / 1000
