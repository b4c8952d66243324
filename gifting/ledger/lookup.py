"""What became of a gift, by its key and without limit of time: from the key's bucket while it is remembered, else from
the ledger.

An item of a ledger stream is found by time: the gift was taken between its key's time less the lead and that plus the
window, by Redis' clock, which also makes the items' ids. Only where that clock went back are the ids stuck at the
highest it had reached; such peaks are kept (:meth:`Lookup.note_peaks`) and searched too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, NoReturn, TypeAlias, TypeVar

import msgpack
from msgspec import UNSET
from msgspec.structs import replace

from gifting import errors
from gifting.config import Settings
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Credit, Debit
from gifting.ledger.floors import kinds
from gifting.ledger.keys import Keys
from gifting.ledger.meta import Change, Meta, read_changes
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, item_order, read_ledger
from gifting.ledger.trimming import read_trimmed
from gifting.model.money import DIGEST_SIZE, key_time, parse_key
from gifting.model.reversals import Given
from gifting.wire.replies import GiftStatusError, GiftStatusReply

log = logging.getLogger(__name__)

MARGIN: Final = 60_000
"""Ms searched beyond where an entry should be: what a clock may go back by before it is noticed."""

END: Final = 2**53
"""Ms beyond all that there are."""

SOON: Final = 30_000
"""Ms after a key's time that are searched first: most gifts are taken at once."""

READ_MAX: Final = 256 << 20
"""Bytes of a stream read for one answer; the outcome stays unknown then."""

DUTY: Final = 3.0
"""Pause after a page, in times what reading it took: a search takes a quarter of Redis at most."""

WAITING_MAX: Final = 32
"""Searches that wait for the one that runs; more are refused as overloaded."""

PEAKS_MAX: Final = 1000
"""Peaks kept of a partition."""

_E = TypeVar("_E", Debit, Credit)


class Stored(NamedTuple):
    """A result as a bucket holds it."""

    status: int
    seq: int
    coins: int
    repeat_count: int
    streak: int


def read_record(record: bytes) -> Stored:
    unpacker = msgpack.Unpacker()
    unpacker.feed(record[DIGEST_SIZE:])
    return Stored(*unpacker)


Older: TypeAlias = Callable[[str, bytes], Awaitable[Given | None]]
"""Gives a user's gift of which the ledger's streams have no more; None where there is none either."""


async def nothing_older(user: str, key: bytes) -> Given | None:
    """Of books without an archive."""
    return None


class Lookup:
    """Answers one search at a time, and one of a user; what a bucket knows to be refused or open costs no search.

    What is trimmed is asked of ``older``, which is of the user too: a key is unique among its sender's partition only.
    """

    older: Older = staticmethod(nothing_older)

    def __init__(self, redis: BinaryRedis, keys: Keys, settings: Settings, meta: Meta) -> None:
        self._redis = redis
        self._keys = keys
        self._meta = meta
        self._kind = kinds(settings)[0]
        self._lead = settings.key_lead
        self._window = settings.dedupe_window
        self._searching = asyncio.Lock()
        self._users: set[str] = set()

    async def status(self, user: str, key: str) -> GiftStatusReply:
        """What ``gift_status`` answers (docs/protocol.md).

        Raises:
            BadKey, RateLimited, Overloaded: nothing was looked for.
            OutcomeUnknown: the ledger has half of the gift, or too much had to be read.
            RedisError, OSError
        """
        raw = parse_key(key)
        floor, stored = await self._remembered(user, raw)
        if stored is None and key_time(raw) >= floor:
            return GiftStatusReply("open")
        if stored is not None and stored.status not in (Status.OK, Status.OUTCOME_UNKNOWN):
            return _refused(Status(stored.status).error())
        async with self._turn(user):
            try:
                return await self._search(user, raw, stored)
            except errors.OutcomeUnknown:
                if (given := await self._archived(user, raw)) is None:
                    raise
                return _told(given)

    async def _archived(self, user: str, key: bytes) -> Given | None:
        """Where the archive can't be asked, the outcome is as unknown as without it."""
        try:
            return await self.older(user, key)
        except errors.ArchiveUnavailable:
            return None

    async def _remembered(self, user: str, key: bytes) -> tuple[int, Stored | None]:
        """The floor, and what is stored under the key, at one moment."""
        base, time = self._keys.base(user), key_time(key)
        pipe = self._redis.pipeline(transaction=True).hget(f"{base}:floors", self._kind.name)
        floor, record = await pipe.hget(f"{base}:{self._kind.name}:{time // self._kind.width}", key).execute()
        floor = int(floor or 0)
        return floor, None if record is None or time < floor else read_record(record)

    @asynccontextmanager
    async def _turn(self, user: str) -> AsyncIterator[None]:
        """A search's place in the queue."""
        if user in self._users:
            raise errors.RateLimited("One gift is being looked up for this user.")
        if len(self._users) > WAITING_MAX:
            raise errors.Overloaded("Too many gifts are being looked up.")
        self._users.add(user)
        try:
            async with self._searching:
                yield
        finally:
            self._users.discard(user)

    async def _search(self, user: str, key: bytes, stored: Stored | None) -> GiftStatusReply:
        debit = await self._debit(user, key)
        if debit is None and stored is not None:
            raise errors.OutcomeUnknown("The gift is not in the ledger; the operator must look.")
        if debit is None:
            return GiftStatusReply("unknown")
        if debit.user != user:
            return _refused(errors.KeyReused())
        return await self._accepted(debit, stored)

    async def given(self, user: str, key: bytes) -> Given | None:
        """A user's gift as both sides of the ledger have it, None if there is none. Raises what :meth:`status` does."""
        async with self._turn(user):
            debit = await self._debit(user, key)
            if debit is None or debit.user != user:
                return None
            return given_of(debit, await self._credit(debit))

    async def _debit(self, user: str, key: bytes) -> Debit | None:
        base, time = self._keys.base(user), key_time(key)
        changes = read_changes(await self._meta.read())
        first = time - longest("key_lead", self._lead, changes) - MARGIN
        last = time + longest("dedupe_window", self._window, changes) + MARGIN
        spans = [(time - MARGIN, time + SOON), (time + SOON + 1, last), (first, time - MARGIN - 1)]
        return await self._find(Debit, base, key, spans)

    async def _credit(self, debit: Debit) -> Credit:
        spans = [(debit.ts - MARGIN, debit.ts + MARGIN)]
        if self._keys.apart:  # where a credit may be late
            spans.append((debit.ts + MARGIN + 1, END))
        credit = await self._find(Credit, self._keys.base(debit.host), debit.key, spans)
        if credit is None:
            raise errors.OutcomeUnknown("The gift was debited, but not credited; the operator must look.")
        return credit

    async def _accepted(self, debit: Debit, stored: Stored | None) -> GiftStatusReply:
        if stored is not None and stored.status == Status.OUTCOME_UNKNOWN:
            stored = None
        paid = GiftStatusReply("accepted", debit.room, debit.gift, debit.gifts, debit.coins, debit.ts)
        if stored is not None and not stored.seq:
            return await self._pending(debit, paid, stored)
        seq = (await self._credit(debit)).seq if stored is None else stored.seq
        found = replace(paid, seq=seq, event_id=f"{debit.room}.{seq}")
        if stored is None:
            return found
        streak = f"{debit.room}.{stored.streak}"
        return replace(found, coins=stored.coins, repeat_count=stored.repeat_count, streak_id=streak)

    async def _pending(self, debit: Debit, paid: GiftStatusReply, stored: Stored) -> GiftStatusReply:
        """Of a gift of which only its debit was known when its result was kept."""
        paid = replace(paid, coins=stored.coins)
        try:
            seq = (await self._credit(debit)).seq
        except errors.OutcomeUnknown:
            return replace(paid, pending=True)
        return replace(paid, seq=seq, event_id=f"{debit.room}.{seq}")

    async def _find(self, kind: type[_E], base: str, key: bytes, spans: list[tuple[int, int]]) -> _E | None:
        """The entry of that kind and key, in spans of time (ms) or where the ids were stuck."""
        left = READ_MAX

        def wanted(data: bytes) -> bool:
            nonlocal left
            left -= len(data)
            if left < 0:
                raise errors.OutcomeUnknown("The ledger has too much of that time.")
            return key in data

        last = max(end for _, end in spans)
        stuck: list[bytes] = await self._redis.zrange(f"{base}:peaks", f"({last}", "+inf", byscore=True)
        for first, end in [*spans, *((int(peak), int(peak)) for peak in stuck)]:
            span = Span(str(max(first, 0)), str(max(end, 0)))
            reading = read_ledger(self._redis, {base: span}, broken=_unreadable, wanted=wanted, rest=DUTY)
            async for _, _, entry in reading:
                if isinstance(entry, kind) and entry.key == key:
                    return entry
        trimmed, _ = item_order(await read_trimmed(self._redis, base))
        if trimmed and trimmed >= min(first for first, _ in spans):
            raise errors.OutcomeUnknown("What happened then is in the archive only.")
        return None

    async def note_peaks(self, now: int) -> None:
        """The clock may have gone back: keep the ids that are stuck ahead of ``now``. Raises RedisError, OSError."""
        pipe = self._redis.pipeline(transaction=False)
        for base in self._keys.bases:
            pipe.xrevrange(f"{base}:ledger", count=1)
        for base, found in zip(self._keys.bases, await pipe.execute(), strict=True):
            peak = int(found[0][0].partition(b"-")[0]) if found else 0
            if peak > now:
                await self._redis.zadd(f"{base}:peaks", {str(peak): peak})
                await self._redis.zremrangebyrank(f"{base}:peaks", 0, -PEAKS_MAX - 1)


def _unreadable(base: str, item_id: str, why: str) -> NoReturn:
    log.error("an item of the ledger can't be read: %s %s: %s", base, item_id, why)
    raise errors.OutcomeUnknown("The ledger can't be read there; the operator must look.")


def _told(given: Given) -> GiftStatusReply:
    what = given.room, given.gift, given.count, given.coins, given.at, given.seq
    return GiftStatusReply("accepted", *what, f"{given.room}.{given.seq}")


def given_of(debit: Debit, credit: Credit) -> Given:
    """A gift by its two entries."""
    what = (debit.gift, debit.gifts, debit.coins)
    return Given(debit.key, debit.user, debit.room, debit.host, credit.seq, *what, credit.diamonds, credit.ts)


def longest(name: str, now: float, changes: list[Change]) -> int:
    """The most, in ms, that a setting of seconds was."""
    was = (float(value) for one in changes if one.name == name for value in (one.was, one.now))
    return round(1000 * max([now, *was]))


def _refused(error: errors.GiftingError) -> GiftStatusReply:
    why = GiftStatusError(error.code, error.message, error.until or UNSET, error.cap or UNSET)
    return GiftStatusReply("refused", error=why)
