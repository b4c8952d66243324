"""The rooms of the ledger: their life, what they look like now, and their logs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from math import inf
from typing import Any

import msgpack
from redis.exceptions import RedisError

from gifting import errors
from gifting.config import Settings
from gifting.health import Health
from gifting.ledger import listing, scripts
from gifting.ledger.connect import BinaryRedis, connect
from gifting.ledger.fate import Fate, fate
from gifting.ledger.halt import Halt
from gifting.ledger.keys import Keys
from gifting.ledger.listing import Sort
from gifting.ledger.spot import room_keys
from gifting.ledger.status import Status, refusal
from gifting.model import events
from gifting.model.values import RoomRef
from gifting.wire.batch import RoomBatch, read_batches
from gifting.wire.codec import pack, unpack
from gifting.wire.replies import Snapshot

log = logging.getLogger(__name__)

REDIS_ERRORS = (RedisError, OSError)

BOOKKEEPING = ("grant", "room_end", "sweep")
"""Scripts after whose failure, as after one of ``commit``, nothing more is written."""

ROOMS_CACHED = 20_000
"""Rooms whose host is remembered; beyond it the oldest are looked up again."""

SWEEP_MAX = 200
"""Streaks ended in one call."""

LOG_PAGE = 262_144
"""Bytes of a log read at a time."""

SNAPSHOT_TOP = 10
PRESENCE_STALE = 15.0
"""Seconds after which a silent node's viewers no longer count."""


class Rooms:
    """One process' way to the rooms in Redis at ``url``.

    ``now`` gives the time as the scripts take it: '' (the default) lets Redis' own clock decide, so that nodes whose
    clocks differ agree; tests give a time in ms.
    """

    def __init__(self, url: str, settings: Settings, now: Callable[[], str], health: Health) -> None:
        self.settings = settings
        self.keys = Keys(settings.key_prefix, settings.partitions)
        self.redis: BinaryRedis = connect(url, settings.ledger_timeout)
        self.halt = Halt(self.redis, self.keys.meta, health, self._halted)
        self._now = now
        self._rooms: dict[str, RoomRef] = {}

    def _halted(self) -> None:
        """Nothing may be written any more."""

    async def _call(
        self, name: str, keys: list[str], *args: Any, options: Any = None, unsure: Unsure = errors.LedgerUnavailable
    ) -> Any:
        """Run a script; ``unsure`` as :func:`translate` takes it."""
        packed = (pack(options),) if options is not None else ()
        if name in BOOKKEEPING:
            self.halt.check()
        try:
            return await scripts.call(self.redis, name, keys, *args, *packed)
        except REDIS_ERRORS as error:
            if fate(error) is Fate.BROKEN:
                log.error("the script %s failed: %s", name, error)
                if name in BOOKKEEPING:
                    self.halt.pull(f"{name}: {error}")
            raise translate(error, unsure) from None

    async def open_room(self, room: str, host: str, host_name: str, title: str) -> RoomRef:
        """Begin a stream. Doing it again changes nothing. Raises RoomTaken, RoomEnded, TooManyLiveRooms."""
        directory, base = self.keys.directory(room), self.keys.base(host)
        rooms_max = self.settings.creator_rooms
        try:
            found = await self.redis.hget(directory, room)
            if found is None:  # names of rooms that are not to be opened are not to be kept
                if int(await self.redis.hget(self.keys.live(base)[2], host) or 0) >= rooms_max:
                    raise errors.TooManyLiveRooms
                await self.redis.hsetnx(directory, room, host)
                found = await self.redis.hget(directory, room)
        except REDIS_ERRORS as error:
            raise translate(error, errors.Unconfirmed) from None
        if found is None or found.decode() != host:
            raise errors.RoomTaken
        options = (room, host, host_name or host, title, rooms_max)
        keys = [self.keys.room(host, room), *self.keys.live(base)]
        reply = await self._call("room_open", keys, self._now(), options=options, unsure=errors.Unconfirmed)
        check(unpack(reply)[0])
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
            raise translate(error, errors.LedgerUnavailable) from None
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
        names, live = room_keys(room.base, room.id), self.keys.live(room.base)
        keys = [*names, f"{names[0]}/presence", self.keys.deadlines(room.base), *live]
        reply = await self._call("room_end", keys, self._now(), options=options, unsure=errors.Unconfirmed)
        check(unpack(reply)[0])

    async def live_rooms(self, sort: Sort, cursor: str, limit: int) -> tuple[list[str], str]:
        """Ids of live rooms in the order of ``sort``, ``limit`` at most, from ``cursor`` on; and the next cursor or ''.

        Where the order changes meanwhile, as viewers come and go, a room may come twice or not at all.

        Raises:
            BadMessage: no cursor of this order.
        """
        place = listing.read_cursor(sort, cursor)
        pipe = self.redis.pipeline(transaction=False)
        for base in self.keys.bases:
            pipe.eval(scripts.source("rooms_page"), 1, f"{base}:{listing.SETS[sort]}", limit + 1, *(place or ("", "")))
        try:
            pages = await pipe.execute()
        except REDIS_ERRORS as error:
            raise translate(error, errors.LedgerUnavailable) from None
        found, more = listing.merge(pages, limit)
        return [room for _, room in found], listing.make_cursor(sort, found[-1]) if more else ""

    async def snapshot(self, room: RoomRef) -> Snapshot:
        """All that a subscriber needs to draw the room, as the protocol says it. Raises RoomNotFound."""
        options = (room.id, SNAPSHOT_TOP, round(PRESENCE_STALE * 1000))
        state, _, streaks, top, users = room_keys(room.base, room.id)
        keys = [state, streaks, top, users, f"{state}/presence"]
        found = msgpack.unpackb(await self._call("snapshot", keys, self._now(), options=options), raw=True)
        if found is None:
            raise errors.RoomNotFound
        state, host, name, title, started, seq, coins, diamonds, likes, viewers, top, streaks = found
        return Snapshot(
            room.id,
            state.decode(),
            seq,
            title.decode(),
            events.Host(host.decode(), name.decode()),
            started,
            coins,
            diamonds,
            likes,
            viewers,
            decode_top(top),
            [events.decode_gift_event(streak) for streak in streaks],
        )

    async def top(self, room: RoomRef, limit: int) -> list[events.Ranked]:
        return decode_top(msgpack.unpackb(await self._call("top", room_keys(room.base, room.id)[3:], limit), raw=True))

    async def replay(self, room: RoomRef, since: int, size: int) -> list[RoomBatch]:
        """The logged batches that hold what came after seq ``since``: one, and more until they have ``size`` bytes.

        The first may begin before (see :meth:`RoomBatch.after`) or, where the log no longer has it all, later. A batch
        has 64 KiB and one event at most, but one written by an older version may have more than 1 MiB.
        """
        log = self.keys.log(room.host, room.id)
        return list(read_batches(await self._call("log_page", [log], since, size)))

    async def presence(self, room: RoomRef, node: str, viewers: int) -> int:
        """Say how many viewers this node has; returns how many there are on all nodes."""
        options = (room.id, node, viewers, round(PRESENCE_STALE * 1000))
        state = self.keys.room(room.host, room.id)
        keys = [state, f"{state}/presence", self.keys.live(room.base)[1]]
        return int(await self._call("presence", keys, self._now(), options=options))

    async def sweep(self) -> tuple[int, float]:
        """End the streaks whose time is over. Returns how many, and seconds until the next may be due."""
        self.halt.check()
        ended, wait = 0, self.settings.streak_window * 1000
        now, deadlines = await self._next_deadlines()
        for base, deadline in deadlines:
            left = deadline - now + 1
            if left <= 0:
                count, left = await self._end_streaks(base, now)
                ended += count
            wait = min(wait, left)
        return ended, wait / 1000

    async def _next_deadlines(self) -> tuple[int, list[tuple[str, float]]]:
        """The time, and when the next streak of each partition may be over; ms."""
        pipe = self.redis.pipeline(transaction=False).time()
        for base in self.keys.bases:
            pipe.zrange(self.keys.deadlines(base), 0, 0, withscores=True)
        try:
            (seconds, micros), *found = await pipe.execute()
        except REDIS_ERRORS as error:
            raise translate(error, errors.LedgerUnavailable) from None
        first = [page[0][1] if page else inf for page in found]
        return int(self._now() or seconds * 1000 + micros // 1000), list(zip(self.keys.bases, first, strict=True))

    async def _end_streaks(self, base: str, now: int) -> tuple[int, float]:
        """Of one partition. Which may be over is read here, so that the call can name their rooms; the script decides.

        Returns how many ended, and ms until the next may be due.
        """
        ended, deadlines = 0, self.keys.deadlines(base)
        while True:
            try:
                due = await self.redis.zrange(deadlines, "-inf", f"({now}", byscore=True, offset=0, num=SWEEP_MAX)
            except REDIS_ERRORS as error:
                raise translate(error, errors.LedgerUnavailable) from None
            streaks = [member.decode().partition("\n") for member in due]
            rooms = {room: place for place, room in enumerate(dict.fromkeys(room for room, _, _ in streaks), 1)}
            keys = [deadlines, *(key for room in rooms for key in room_keys(base, room))]
            members = [(rooms[room], field) for room, _, field in streaks]
            options = (self.settings.log_keep, list(rooms), members)
            count, left = unpack(await self._call("sweep", keys, self._now(), options=options))
            ended += count
            if len(due) < SWEEP_MAX:
                return ended, left if left >= 0 else inf

    async def batches(self, room: RoomRef, since: int, page: int = LOG_PAGE) -> AsyncIterator[RoomBatch]:
        """All logged batches after ``since``, read in pages of about ``page`` bytes."""
        while found := await self.replay(room, since, page):
            for batch in found:
                yield batch.after(since)
                since = batch.last


Unsure = type[errors.LedgerUnavailable | errors.OutcomeUnknown | errors.Unconfirmed]


def translate(error: Exception, unsure: Unsure) -> errors.GiftingError:
    """What a failed call of Redis means to whoever asked for it.

    ``unsure`` is what it means where the call may have been done all the same: LedgerUnavailable where that changes
    nothing, OutcomeUnknown where it may be asked again with its key, Unconfirmed where it has none.
    """
    became = fate(error)
    if became is Fate.NO_MEMORY:
        return errors.LedgerFull()
    if became in (Fate.FORGOTTEN, Fate.NOT_RUN):
        return errors.LedgerUnavailable()
    return unsure()


def check(status: int) -> None:
    """Raise what a script refused for."""
    if status != Status.OK:
        raise refusal(status)


def decode_top(ranked: list[Any]) -> list[events.Ranked]:
    """A ranking as the scripts give it."""
    return [events.Ranked(events.decode_user(user), coins) for user, coins in ranked]
