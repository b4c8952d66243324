"""The ledger: everything that can be done to money and rooms, each as one call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import msgpack
from redis.exceptions import OutOfMemoryError, RedisError

from gifting import errors
from gifting.config import Settings
from gifting.ledger import scripts
from gifting.ledger.batcher import Batcher, Done, Result
from gifting.ledger.connect import BinaryRedis, connect
from gifting.ledger.keys import Keys
from gifting.ledger.likes import Fold
from gifting.ledger.status import Status
from gifting.model import economy, events
from gifting.model.catalog import Catalog
from gifting.wire.batch import RoomBatch, read_batches
from gifting.wire.codec import pack, unpack
from gifting.wire.messages import MAX_COUNT

GIFT, EVENT, LIKE = 1, 2, 3
REDIS_ERRORS = (RedisError, OSError)

ROOMS_CACHED = 20_000
"""Rooms whose host is remembered; beyond it the oldest are looked up again."""

SWEEP_MAX = 200
"""Streaks ended in one call."""

SNAPSHOT_TOP = 10
PRESENCE_STALE = 15.0
"""Seconds after which a silent node's viewers no longer count."""

REVOKED_MAX = 100_000
"""Revoked tokens that have not expired."""


class RoomRef(NamedTuple):
    """What never changes of a room: its host, the host's partition, and the host as wire bytes."""

    id: str
    host: str
    base: str
    to_user: bytes


class Sender(NamedTuple):
    """Who sends: the user's partition, and the user as wire bytes."""

    id: str
    base: str
    user: bytes


class Ledger:
    """One process' way to the books in Redis at ``url``.

    ``now`` gives the time as the scripts take it: '' (the default) lets Redis' own clock decide, so that nodes whose
    clocks differ agree; tests give a time in ms.
    """

    def __init__(self, url: str, settings: Settings, catalog: Catalog, now: Callable[[], str] = str) -> None:
        self.url = url
        self.settings = settings
        self.catalog = catalog
        self.keys = Keys(settings.key_prefix, settings.partitions)
        self.redis: BinaryRedis = connect(url, settings.ledger_timeout)
        self._now = now
        self.batcher = Batcher(self.redis.connection_pool.make_connection(), self.keys, settings, now)
        self._rooms: dict[str, RoomRef] = {}
        self._likes: dict[str, Fold] = {}

    async def start(self) -> None:
        """Check that the data fits the settings, and begin to take gifts.

        Raises:
            BadSetting: the data was made with another number of partitions.
        """
        await self.redis.hsetnx(self.keys.meta, "partitions", str(len(self.keys.bases)))
        found = await self.redis.hget(self.keys.meta, "partitions")
        if found is None or int(found) != len(self.keys.bases):
            raise errors.BadSetting(
                f"The data has {found and int(found)} partitions, the settings {len(self.keys.bases)}."
            )
        self.batcher.start()

    async def flush(self, timeout: float) -> None:
        """Finish what is queued, for ``timeout`` seconds at most."""
        for fold in self._likes.values():
            fold.flush()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.batcher.drain(), timeout)

    async def stop(self) -> None:
        """Let go of Redis. What is still queued is told that it was not sent."""
        await self.batcher.stop()
        await self.redis.aclose()

    async def _call(self, name: str, base: str, *args: Any, options: Any = None) -> Any:
        packed = (pack(options),) if options is not None else ()
        try:
            return await scripts.call(self.redis, name, [base], *args, *packed)
        except REDIS_ERRORS as error:
            raise _translate(error) from None

    # Gifts and events: through the batcher.

    def sender(self, user: str, public: dict[str, Any]) -> Sender:
        return Sender(user, self.keys.base(user), events.encode_user(public))

    def send_gift(
        self, sender: Sender, room: RoomRef, gift_id: str, key: str, count: int, message: str | None, done: Done
    ) -> None:
        """Debit the sender, credit the host, log and publish; ``done`` gets the result or why not.

        Raises:
            UnknownGift, BadKey, BadAmount, Overloaded: at once; ``done`` is not called then.
        """
        gift = self.catalog[gift_id]
        if not 1 <= count <= MAX_COUNT:
            raise errors.BadAmount(f"count is {count}; it must be from 1 to {MAX_COUNT}.")
        raw_key = economy.parse_key(key)
        coins = gift.coins * count
        fields = pack(
            (
                room.id,
                room.host,
                sender.id,
                raw_key,
                economy.key_time(raw_key),
                economy.content_digest(sender.id, room.id, gift_id, str(count), message or ""),
                gift_id,
                count,
                coins,
                int(gift.streakable),
                sender.user,
                b"".join((events.GIFT_HEAD, sender.user, room.to_user, self.catalog.wire(gift_id))),
                events.encode_sent(count, coins, message),
            )
        )[1:]
        self.batcher.submit(GIFT, sender.base, room.base, fields, done)

    def post(self, room: RoomRef, kind: str, fields: dict[str, Any], done: Done) -> None:
        """Log and publish a free event (comment, share, follow, member). Raises Overloaded."""
        blob = pack((room.id, room.host, events.encode_event(kind, fields)))[1:]
        self.batcher.submit(EVENT, None, room.base, blob, done)

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
        self.batcher.submit(LIKE, None, room.base, blob, done)

    async def gift(
        self, sender: Sender, room: RoomRef, gift_id: str, key: str, count: int = 1, message: str | None = None
    ) -> Result:
        """:meth:`send_gift` for those who can wait. Raises what it was refused for."""
        waiting: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(outcome: Result | errors.GiftingError) -> None:
            if waiting.done():
                return
            error = outcome if isinstance(outcome, errors.GiftingError) else outcome.refusal()
            if error is not None:
                waiting.set_exception(error)
            elif isinstance(outcome, Result):
                waiting.set_result(outcome)

        self.send_gift(sender, room, gift_id, key, count, message, done)
        return await waiting

    # Coins.

    async def grant(self, user: str, coins: int, key: str, reason: str, operator: str) -> tuple[int, bool]:
        """Issue coins. Returns the balance after, and whether this key had been used for the same before.

        Raises:
            BadKey, BadAmount, KeyReused, KeyExpired, KeyInFuture, WalletFull, Unavailable.
        """
        raw_key = economy.parse_key(key)
        if not 1 <= coins <= economy.MAX_AMOUNT:
            raise errors.BadAmount(f"coins is {coins}.")
        options = (
            round(self.settings.grant_window * 1000),
            round(self.settings.key_lead * 1000),
            user,
            raw_key,
            economy.key_time(raw_key),
            economy.content_digest(user, str(coins), reason),
            coins,
            reason,
            operator,
        )
        reply = await self._call("grant", self.keys.base(user), self._now(), options=options)
        status, duplicate, balance = unpack(reply)
        _check(status)
        return balance, bool(duplicate)

    async def wallet(self, user: str) -> tuple[int, int]:
        """A user's coins and milli-diamonds."""
        base = self.keys.base(user)
        try:
            pipe = self.redis.pipeline(transaction=True).hget(f"{base}:coins", user).hget(f"{base}:diamonds", user)
            coins, diamonds = await pipe.execute()
        except REDIS_ERRORS as error:
            raise _translate(error) from None
        return int(coins or 0), int(diamonds or 0)

    # Rooms.

    async def open_room(self, room: str, host: str, host_name: str, title: str) -> RoomRef:
        """Begin a stream. Doing it again changes nothing. Raises RoomTaken, RoomEnded."""
        directory = self.keys.directory(room)
        try:
            await self.redis.hsetnx(directory, room, host)
            found = await self.redis.hget(directory, room)
        except REDIS_ERRORS as error:
            raise _translate(error) from None
        if found is None or found.decode() != host:
            raise errors.RoomTaken
        reply = await self._call(
            "room_open", self.keys.base(host), self._now(), options=(room, host, host_name or host, title)
        )
        _check(unpack(reply)[0])
        return await self.room(room)

    async def room(self, room: str) -> RoomRef:
        """Find a room, live or ended. Raises RoomNotFound."""
        ref = self._rooms.get(room)
        if ref is not None:
            return ref
        try:
            host = await self.redis.hget(self.keys.directory(room), room)
            name = await self.redis.hget(self.keys.room(host.decode(), room), "host_name") if host else None
        except REDIS_ERRORS as error:
            raise _translate(error) from None
        if host is None or name is None:
            raise errors.RoomNotFound
        user = host.decode()
        ref = RoomRef(room, user, self.keys.base(user), events.encode_host({"id": user, "name": name.decode()}))
        while len(self._rooms) >= ROOMS_CACHED:
            del self._rooms[next(iter(self._rooms))]
        self._rooms[room] = ref
        return ref

    def known_room(self, room: str) -> RoomRef | None:
        """A room that :meth:`room` has found before."""
        return self._rooms.get(room)

    async def end_room(self, room: RoomRef) -> None:
        """End a stream: its streaks end, ``stream_end`` goes out. Doing it again changes nothing."""
        retention = round(self.settings.room_retention * 1000)
        options = (room.id, events.encode_event("stream_end", {}), self.settings.log_keep, retention)
        _check(unpack(await self._call("room_end", room.base, self._now(), options=options))[0])

    async def live_rooms(self, limit: int) -> list[str]:
        """Ids of live rooms, the newest first of each partition."""
        pipe = self.redis.pipeline(transaction=False)
        for base in self.keys.bases:
            pipe.zrange(f"{base}:live", 0, limit - 1, desc=True)
        try:
            pages = await pipe.execute()
        except REDIS_ERRORS as error:
            raise _translate(error) from None
        return [room.decode() for page in pages for room in page][:limit]

    async def snapshot(self, room: RoomRef) -> dict[str, Any]:
        """All that a subscriber needs to draw the room, as the protocol says it. Raises RoomNotFound."""
        options = (room.id, SNAPSHOT_TOP, round(PRESENCE_STALE * 1000))
        found = msgpack.unpackb(await self._call("snapshot", room.base, self._now(), options=options), raw=True)
        if found is None:
            raise errors.RoomNotFound
        state, host, name, title, started, seq, coins, diamonds, likes, viewers, top, streaks = found
        return {
            "id": room.id,
            "state": state.decode(),
            "seq": seq,
            "title": title.decode(),
            "host": {"id": host.decode(), "name": name.decode()},
            "started": started,
            "coins": coins,
            "diamonds": diamonds,
            "likes": likes,
            "viewers": viewers,
            "top": decode_top(top),
            "goals": [],
            "streaks": [unpack(streak) for streak in streaks],
        }

    async def top(self, room: RoomRef, limit: int) -> list[dict[str, Any]]:
        return decode_top(msgpack.unpackb(await self._call("top", room.base, room.id, limit), raw=True))

    async def replay(self, room: RoomRef, since: int, limit: int) -> list[RoomBatch]:
        """The logged batches that hold what came after seq ``since``, ``limit`` batches at most.

        The first may begin before (see :meth:`RoomBatch.after`) or, where the log no longer has it all, later.
        """
        try:
            found = await self.redis.xrange(
                self.keys.log(room.host, room.id), min=f"{since + 1}-0", max="+", count=limit
            )
        except REDIS_ERRORS as error:
            raise _translate(error) from None
        return [batch for _, fields in found for batch in read_batches(fields[b"b"])]

    async def presence(self, room: RoomRef, node: str, viewers: int) -> int:
        """Say how many viewers this node has; returns how many there are on all nodes."""
        options = (room.id, node, viewers, round(PRESENCE_STALE * 1000))
        return int(await self._call("presence", room.base, self._now(), options=options))

    async def sweep(self) -> tuple[int, float]:
        """End the streaks whose time is over. Returns how many, and seconds until the next may be due."""
        ended, wait = 0, self.settings.streak_window
        for base in self.keys.bases:
            more = 1
            while more:
                reply = await self._call("sweep", base, self._now(), options=(SWEEP_MAX, self.settings.log_keep))
                count, next_due, more = unpack(reply)
                ended += count
            if next_due >= 0:
                wait = min(wait, next_due / 1000)
        return ended, wait

    # Tokens.

    async def revoke(self, token_id: str, ttl: float) -> None:
        """Revoke a token for ``ttl`` seconds, by when it has expired. Raises Overloaded when too many are revoked."""
        now = time.time()
        try:
            await self.redis.zremrangebyscore(self.keys.revoked, "-inf", now)
            if await self.redis.zcard(self.keys.revoked) >= REVOKED_MAX:
                raise errors.Overloaded("Too many tokens are revoked.")
            await self.redis.zadd(self.keys.revoked, {token_id: now + ttl})
        except REDIS_ERRORS as error:
            raise _translate(error) from None

    async def revoked(self) -> frozenset[str]:
        found = await self.redis.zrange(self.keys.revoked, 0, REVOKED_MAX)
        return frozenset(token.decode() for token in found)

    async def batches(self, room: RoomRef, since: int, page: int = 200) -> AsyncIterator[RoomBatch]:
        """All logged batches after ``since``."""
        while found := await self.replay(room, since, page):
            for batch in found:
                yield batch.after(since)
                since = batch.last


def _translate(error: Exception) -> errors.GiftingError:
    if isinstance(error, OutOfMemoryError):
        return errors.LedgerFull()
    return errors.OutcomeUnknown()


def _check(status: int) -> None:
    if status != Status.OK:
        raise Status(status).error()


def decode_top(ranked: list[Any]) -> list[dict[str, Any]]:
    """A ranking as the scripts give it, as the protocol says it."""
    return [{"user": unpack(user), "coins": coins} for user, coins in ranked]
