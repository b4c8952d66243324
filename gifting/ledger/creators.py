"""Creators: what is known of each, what each has earned and when, and what it owes."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec.structs import replace

from gifting.errors import Conflict, Unconfirmed
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.days import FIELD, believed
from gifting.ledger.status import Status
from gifting.model.creator import CreatorRecord, read_record, write_record
from gifting.model.creators import DAYS_MAX, Tier
from gifting.model.earnings import Split, day_of, split
from gifting.model.money import make_key, parse_key
from gifting.model.packing import unpack

AHEAD: Final = DAYS_MAX
"""Days to come that are looked at, too: Redis' clock may have been ahead."""

TRIES: Final = 40
"""Changes that are made anew because another came first."""

PAUSE: Final = 0.01
"""Seconds between two of them at most, times how often it was tried."""

KEEP: Final = -1
"""In place of a commission: it stays what it is."""

Rule = Callable[[CreatorRecord], CreatorRecord]


class Creator(NamedTuple):
    """In milli-diamonds: what is there, what is owed of it, and what was earned on which day since 1970 (UTC).
    ``commission`` in basis points is None where the first tier's holds. ``today`` is that of Redis' clock, as far as it
    is believed (:mod:`gifting.ledger.days`).
    """

    record: CreatorRecord
    balance: int
    debt: int
    commission: int | None
    days: dict[int, int]
    today: int

    def split(self, tier: Tier) -> Split:
        """What of it is pending, reserved, available."""
        return split(self.balance, self.debt, self.days, self.today, tier)


class Creators:
    """Of all hosts. ``now_ms`` is Redis' time; ``span_ms`` the earliest and the latest that it may be, after a step of
    that clock: a wait is over by the one, and begins by the other.
    """

    def __init__(self, calls: Calls, now_ms: Callable[[], int], span_ms: Callable[[], tuple[int, int]]) -> None:
        self._calls = calls
        self.now_ms = now_ms
        self.span_ms = span_ms

    async def read(self, host: str) -> Creator:
        """What is there at one moment. Raises Unavailable."""
        base = self._calls.keys.base(host)
        with translated():
            today = believed(day_of(self.now_ms()), await self._calls.redis.hget(f"{base}:floors", FIELD))
        days = range(max(today - DAYS_MAX, 0), today + AHEAD + 1)
        own = (host, f"{host}/debt", f"{host}/bps")
        pipe = self._calls.redis.pipeline(transaction=True)
        pipe.hget(f"{base}:creators", host).hmget(f"{base}:diamonds", [*own, *(f"{host}/{day}" for day in days)])
        with translated():
            record, (balance, debt, commission, *earned) = await pipe.execute()
        by_day = {day: int(diamonds) for day, diamonds in zip(days, earned, strict=True) if diamonds}
        own_commission = None if commission is None else int(commission)
        return Creator(read_record(record), int(balance or 0), int(debt or 0), own_commission, by_day, today)

    async def settled(self, host: str) -> Creator:
        """The same, once what broke off of the host's is done or forgotten. Raises Unavailable, also while halted."""
        payouts = self._calls.keys.payouts_of(host)[0]
        with translated():
            broken_off = await self._calls.redis.hexists(payouts, "redo")
        if broken_off:
            await self._calls.timed("payout_put", self._calls.keys.payout_put(host), (host,))
        return await self.read(host)

    async def change(
        self, host: str, rule: Rule, *, what: str, value: str, by: str, commission: int = KEEP
    ) -> CreatorRecord:
        """Apply a rule, with a commission from the next gift on; the ledger is told ``what`` it was, its ``value``, and
        ``by`` whom, unless nothing changes.

        Raises:
            Conflict: others changed it as often as this tried to.
            Unconfirmed: nobody knows whether it was done.
            Unavailable, and what the rule raises: it was not.
        """
        for tried in range(TRIES):
            creator = await self.settled(host)
            changed = rule(creator.record)
            if changed == creator.record and commission in (KEEP, creator.commission):
                return changed
            changed = replace(changed, v=creator.record.v + 1)
            if await self._put(host, changed, commission, what, value, by) == Status.OK:
                return changed
            await asyncio.sleep(random.random() * PAUSE * tried)  # noqa: S311
        raise Conflict("It is changed too often just now.")

    async def _put(self, host: str, record: CreatorRecord, commission: int, what: str, value: str, by: str) -> int:
        key = parse_key(make_key(time.time_ns() // 1_000_000, os.urandom(10)))
        keys = self._calls.keys.of_host(host)
        options = (host, record.v - 1, write_record(record), commission, key, what, value, by)
        status = int(unpack(await self._calls.timed("creator_put", keys, options, unsure=Unconfirmed)))
        if status != Status.CONFLICT:
            check(status)
        return status
