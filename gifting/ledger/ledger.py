"""The ledger: everything that can be done to money, each as one call."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from gifting import errors
from gifting.config import Settings
from gifting.health import Health
from gifting.ledger.batcher import Batcher
from gifting.ledger.likes import Fold
from gifting.ledger.lookup import Lookup
from gifting.ledger.meta import Meta
from gifting.ledger.overlays import Overlays
from gifting.ledger.revocations import Revocations
from gifting.ledger.rooms import REDIS_ERRORS, Rooms, check, translate
from gifting.ledger.safety import require_safe
from gifting.ledger.spot import BUCKET_MS, DAY_MS, Spot, account_keys, bucket_spot, room_spot
from gifting.ledger.upkeep import Upkeep
from gifting.model import events, money
from gifting.model.catalog import Catalog, Gift
from gifting.model.values import Done, Outcome, Result, RoomRef, Sender
from gifting.tasks import Vital
from gifting.wire.codec import pack, unpack
from gifting.wire.messages import MAX_COUNT
from gifting.wire.replies import GiftStatusReply

log = logging.getLogger(__name__)

GIFT, EVENT, LIKE = 1, 2, 3

TARGETS_MAX = 20_000
"""Gifts in rooms whose bytes are remembered, about 300 bytes each."""


class Target(NamedTuple):
    """A gift in a room, packed once for all who send it there."""

    room: Spot
    packed: bytes


class Ledger(Rooms):
    """One process' way to the books in Redis at ``url``; see :class:`Rooms` for ``now``.

    ``vital`` keeps its tasks, and its health is told what keeps it from serving; ``monotonic`` is the process' own
    clock, in seconds.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        catalog: Catalog,
        now: Callable[[], str] = str,
        vital: Vital | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        vital = vital or Vital(Health())
        super().__init__(url, settings, now, vital.health)
        self.meta = Meta(self.redis, self.keys.meta, settings)
        self._lookup = Lookup(self.redis, self.keys, settings, self.meta)
        self.upkeep = Upkeep(self.redis, self.keys, settings, vital.health, self.meta, self._lookup, now, monotonic)
        self.catalog = catalog
        self.revocations = Revocations(self.redis, self.keys, settings.token_ttl_max, now)
        self.overlays = Overlays(self.redis, self.keys, settings.room_overlay_tokens, now)
        self.batcher = Batcher(
            self.redis.connection_pool.make_connection, self.keys.chain, settings, now, vital, self.halt.pull
        )
        self._likes: dict[str, Fold] = {}
        self._targets: dict[tuple[RoomRef, str], Target] = {}

    async def start(self) -> None:
        """Check that Redis, its data and the catalog fit the settings, and begin to take gifts.

        Raises:
            NoRedis: it can't be reached.
            BadSetting: the data has other shared settings, a gift is too dear for the diamond rate, or Redis is set up
                to lose acknowledged gifts.
        """
        self._check_rate()
        try:
            await require_safe(self.redis, allow_unsafe=self.settings.allow_unsafe_redis)
            await self.meta.agree()
            await self.halt.look()
            await self.upkeep.round()
        except REDIS_ERRORS as error:
            raise errors.NoRedis(f"Redis can't be used: {str(error).rstrip('.')}.") from None
        await self.revocations.sync()  # no revoked token is let in, from the first
        self.batcher.start()

    def _check_rate(self) -> None:
        """The script computes coins × numerator + remainder, which must stay exact for the dearest send."""
        numerator, denominator = self.settings.diamond_rate()
        dearest = max(gift.coins for gift in self.catalog) * MAX_COUNT
        if dearest * numerator + denominator > money.MAX_AMOUNT:
            raise errors.BadSetting(
                f"diamonds_per_coin is {self.settings.diamonds_per_coin}: with {dearest} coins in one send that is no "
                "longer exact. Use a simpler fraction."
            )

    def _halted(self) -> None:
        self.batcher.close(errors.LedgerHalted)

    async def maintain(self) -> None:
        """One round of :class:`Upkeep`. Raises Unavailable."""
        try:
            await self.upkeep.round()
        except REDIS_ERRORS as error:
            raise translate(error, errors.LedgerUnavailable) from None

    def now_ms(self) -> int:
        """Redis' time, by which keys are judged, without asking it."""
        return self.upkeep.clock.now_ms()

    async def flush(self, timeout: float) -> None:
        """Finish what is queued, for ``timeout`` seconds at most."""
        for fold in self._likes.values():
            fold.flush()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.batcher.drain(), timeout)

    async def stop(self) -> None:
        """Let go of Redis. What is still queued is told that it was not sent."""
        await self.batcher.stop()
        await self.halt.end()
        await self.redis.aclose()

    # Gifts and events: through the batcher.

    def sender(self, user: str, public: dict[str, Any]) -> Sender:
        return Sender(user, self.keys.base(user), events.encode_user(public))

    def send_gift(
        self, sender: Sender, room: RoomRef, gift_id: str, key: str, count: int, message: str | None, done: Done
    ) -> None:
        """Debit the sender, credit the host, log and publish; ``done`` gets the result or why not.

        Raises:
            UnknownGift, BadKey, BadAmount, Overloaded, Unavailable: at once; ``done`` is not called then.
        """
        gift = self.catalog[gift_id]
        if not 1 <= count <= MAX_COUNT:
            raise errors.BadAmount(f"count is {count}; it must be from 1 to {MAX_COUNT}.")
        raw_key = money.parse_key(key)
        made = money.key_time(raw_key)
        coins = gift.coins * count
        fields = pack(
            (
                sender.id,
                raw_key,
                made,
                money.content_digest(sender.id, room.id, gift_id, str(count), message or ""),
                count,
                coins,
                sender.user,
                events.encode_sent(count, coins, message),
            )
        )[1:]
        bucket = bucket_spot(sender.base, made // BUCKET_MS)
        target = self._targets.get((room, gift_id)) or self._add_target(room, gift)
        self.batcher.submit(GIFT, bucket, target.room, target.packed, fields, done)

    def _add_target(self, room: RoomRef, gift: Gift) -> Target:
        about = events.encode_about(room.to_user, self.catalog.wire(gift.id))
        packed = pack((room.id, room.host, gift.id, int(gift.streakable), about))[1:]
        while len(self._targets) >= TARGETS_MAX:
            del self._targets[next(iter(self._targets))]
        target = self._targets[room, gift.id] = Target(room_spot(room.base, room.id), packed)
        return target

    def post(self, room: RoomRef, kind: events.Logged, fields: dict[str, Any], done: Done) -> None:
        """Log and publish a free event (comment, share, follow, member). Raises Overloaded, Unavailable."""
        blob = pack((room.id, room.host, events.encode_event(kind, fields)))[1:]
        self.batcher.submit(EVENT, None, room_spot(room.base, room.id), None, blob, done)

    def like(self, room: RoomRef, count: int, done: Done) -> None:
        """Add likes; they become one event with all others of the room within ``like_interval``."""
        fold = self._likes.get(room.id)
        if fold is None:
            self._likes = {name: fold for name, fold in self._likes.items() if not fold.idle}
            fold = Fold(self.settings.like_interval, lambda total, tell: self._send_likes(room, total, tell))
            self._likes[room.id] = fold
        fold.add(count, done)

    def _send_likes(self, room: RoomRef, count: int, done: Done) -> None:
        blob = pack((room.id, room.host, events.encode_event("like", {"count": count}, decided=1), count))[1:]
        self.batcher.submit(LIKE, None, room_spot(room.base, room.id), None, blob, done)

    async def gift(
        self, sender: Sender, room: RoomRef, gift_id: str, key: str, count: int = 1, message: str | None = None
    ) -> Result:
        """:meth:`send_gift` for those who can wait. Raises what it was refused for."""
        waiting: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if waiting.done():
                return
            if isinstance(outcome, errors.GiftingError):
                waiting.set_exception(outcome)
            else:
                waiting.set_result(outcome)

        self.send_gift(sender, room, gift_id, key, count, message, done)
        return await waiting

    async def gift_status(self, user: str, key: str) -> GiftStatusReply:
        """What became of a user's gift, as the protocol says it; without limit of time. See :meth:`Lookup.status`."""
        try:
            return await self._lookup.status(user, key)
        except REDIS_ERRORS:
            raise errors.LedgerUnavailable from None

    # Coins.

    async def grant(self, user: str, coins: int, key: str, reason: str, operator: str) -> tuple[int, bool]:
        """Issue coins. Returns the balance after, and whether this key had been used for the same before.

        Raises:
            BadKey, BadAmount, KeyReused, KeyExpired, KeyInFuture, WalletFull, Unavailable.
        """
        raw_key = money.parse_key(key)
        if not 1 <= coins <= money.MAX_AMOUNT:
            raise errors.BadAmount(f"coins is {coins}.")
        base, made = self.keys.base(user), money.key_time(raw_key)
        day = made // DAY_MS
        options = (
            round(self.settings.grant_window * 1000),
            round(self.settings.key_lead * 1000),
            day,
            user,
            raw_key,
            made,
            money.content_digest(user, str(coins), reason),
            coins,
            reason,
            operator,
        )
        keys = [*account_keys(base, "grants"), f"{base}:grants:{day}"]
        reply = await self._call("grant", keys, self._now(), options=options, unsure=errors.OutcomeUnknown)
        status, duplicate, balance = unpack(reply)
        check(status)
        return balance, bool(duplicate)

    async def wallet(self, user: str) -> tuple[int, int]:
        """A user's coins and milli-diamonds."""
        base = self.keys.base(user)
        try:
            pipe = self.redis.pipeline(transaction=True).hget(f"{base}:coins", user).hget(f"{base}:diamonds", user)
            coins, diamonds = await pipe.execute()
        except REDIS_ERRORS as error:
            raise translate(error, errors.LedgerUnavailable) from None
        return int(coins or 0), int(diamonds or 0)
