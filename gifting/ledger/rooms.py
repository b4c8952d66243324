"""The rooms of the ledger: their life, what they look like now, and their logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgpack
from msgspec import UNSET

from gifting import errors
from gifting.config import Settings
from gifting.ledger import listing, scripts
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.keys import presence_key, removed_key, room_keys
from gifting.ledger.listing import Sort
from gifting.ledger.meta import ARCHIVE
from gifting.model import events
from gifting.model.house import NO_RULES, RoomRules, read_rules
from gifting.model.lineage import Lineage
from gifting.model.packing import unpack
from gifting.model.values import RoomRef
from gifting.wire.batch import Page, RoomBatch, read_batches
from gifting.wire.removal import blank
from gifting.wire.replies import Snapshot

ARCHIVE_WAIT: Final = 30 * 86_400_000
"""Ms beyond ``room_retention`` for which the log of a room that has ended waits for an archive that follows."""

ROOMS_CACHED: Final = 20_000
"""Rooms whose host is remembered; beyond it the oldest are looked up again."""

LOG_PAGE: Final = 262_144
"""Bytes of a log read at a time."""

SNAPSHOT_TOP: Final = 10
"""Places of the ranking that a snapshot has."""

PRESENCE_STALE: Final = 15.0
"""Seconds after which a silent node's viewers no longer count."""


class Rooms:
    """All rooms. Everything raises Unavailable; what writes raises Unconfirmed where nobody knows, and LedgerHalted."""

    def __init__(self, calls: Calls, settings: Settings) -> None:
        self._calls = calls
        self._keys = calls.keys
        self._creator_rooms = settings.creator_rooms
        self._log_keep = settings.log_keep
        self._retention_ms = round(settings.room_retention * 1000)
        self._known: dict[str, RoomRef] = {}

    # Their life.

    async def open(self, room: str, host: str, host_name: str, title: str) -> RoomRef:
        """Begin a stream. Doing it again changes nothing. Raises RoomTaken, RoomEnded, TooManyLiveRooms."""
        if await self._claim(room, host) != host:
            raise errors.RoomTaken
        with translated(errors.Unconfirmed):
            followed = bool(await self._calls.redis.hexists(self._keys.meta, ARCHIVE))
        options = (room, host, host_name or host, title, self._creator_rooms, followed, self._keys.apart)
        keys = [self._keys.room(host, room), *self._keys.live(self._keys.base(host))]
        reply = await self._calls.timed("room_open", keys, options, unsure=errors.Unconfirmed)
        check(unpack(reply)[0])
        return await self.find(room)

    async def _claim(self, room: str, host: str) -> str:
        """Whose the name of a room is; if it was nobody's, ``host`` takes it."""
        redis, directory = self._calls.redis, self._keys.directory(room)
        with translated(errors.Unconfirmed):
            found = await redis.hget(directory, room)
            if found is None:  # names of rooms that are not to be opened are not to be kept
                hosting = self._keys.live(self._keys.base(host))[2]
                if int(await redis.hget(hosting, host) or 0) >= self._creator_rooms:
                    raise errors.TooManyLiveRooms
                await redis.hsetnx(directory, room, host)
                found = await redis.hget(directory, room)
        return found.decode() if found else ""

    async def find(self, room: str) -> RoomRef:
        """A room, live or ended. Raises RoomNotFound."""
        ref = self._known.get(room)
        if ref is not None:
            return ref
        redis = self._calls.redis
        with translated():
            host = await redis.hget(self._keys.directory(room), room)
            name = await redis.hget(self._keys.room(host.decode(), room), "host_name") if host else None
        if host is None or name is None:
            raise errors.RoomNotFound
        user = host.decode()
        ref = RoomRef(room, user, self._keys.base(user), events.encode_host({"id": user, "name": name.decode()}))
        self.remember(ref)
        return ref

    def remember(self, ref: RoomRef) -> None:
        """So that :meth:`find` need not ask for it."""
        while len(self._known) >= ROOMS_CACHED:
            del self._known[next(iter(self._known))]
        self._known[ref.id] = ref

    def known(self, room: str) -> RoomRef | None:
        """A room that has been found before."""
        return self._known.get(room)

    async def end(self, room: RoomRef) -> None:
        """End a stream: its streaks end, ``stream_end`` goes out. Doing it again changes nothing.

        Raises:
            RoomNotFound
        """
        options = (room.id, events.encode_event("stream_end", {}), self._log_keep, self._retention_ms, ARCHIVE_WAIT)
        names, live = room_keys(room.base, room.id), self._keys.live(room.base)
        keys = [*names, presence_key(room.base, room.id), self._keys.deadlines(room.base), *live]
        keys.append(removed_key(room.base, room.id))
        reply = await self._calls.timed("room_end", keys, options, unsure=errors.Unconfirmed)
        check(unpack(reply)[0])

    async def live(self, sort: Sort, cursor: str, limit: int) -> tuple[list[str], str]:
        """Ids of live rooms in the order of ``sort``, ``limit`` at most, from ``cursor`` on; and the next cursor or ''.

        Where the order changes meanwhile, as viewers come and go, a room may come twice or not at all.

        Raises:
            BadMessage: no cursor of this order.
        """
        place = listing.read_cursor(sort, cursor)
        pipe = self._calls.redis.pipeline(transaction=False)
        for base in self._keys.bases:
            pipe.eval(scripts.source("rooms_page"), 1, f"{base}:{listing.SETS[sort]}", limit + 1, *(place or ("", "")))
        with translated():
            pages = await pipe.execute()
        found, more = listing.merge(pages, limit)
        return [room for _, room in found], listing.make_cursor(sort, found[-1]) if more else ""

    # What they look like.

    async def snapshot(self, room: RoomRef) -> Snapshot:
        """All that a subscriber needs to draw the room, as the protocol says it. Raises RoomNotFound."""
        options = (room.id, SNAPSHOT_TOP, round(PRESENCE_STALE * 1000))
        names = room_keys(room.base, room.id)
        keys = [names[0], *names[2:], presence_key(room.base, room.id)]
        found = msgpack.unpackb(await self._calls.timed("snapshot", keys, options), raw=True)
        if found is None:
            raise errors.RoomNotFound
        state, host, name, title, started, seq, coins, diamonds, likes, viewers, top, streaks, rules, epoch = found
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
            _read_rules(rules),
            UNSET if epoch is None or epoch is False else epoch,
        )

    async def top(self, room: RoomRef, limit: int) -> list[events.Ranked]:
        """Who sent most, the first first; ``limit`` at most."""
        keys = room_keys(room.base, room.id)[3:]
        return decode_top(msgpack.unpackb(await self._calls.run("top", keys, limit), raw=True))

    async def replay(self, room: RoomRef, since: int, size: int) -> list[RoomBatch]:
        """The logged batches that hold what came after seq ``since``: one, and more until they have ``size`` bytes.

        The first may begin before (see :meth:`RoomBatch.after`) or, where the log no longer has it all, later. A batch
        has 64 KiB and one event at most, but one written by an older version may have more than 1 MiB. What was removed
        of them is not shown.
        """
        batches, removed = await self.log_page(room, since, size)
        return [blank(batch, removed) for batch in batches] if removed else batches

    async def log_page(self, room: RoomRef, since: int, size: int) -> tuple[list[RoomBatch], set[int]]:
        """:meth:`replay` as it was logged, and the seqs of those of which is shown no longer what was said."""
        keys = [self._keys.log(room.host, room.id), removed_key(room.base, room.id)]
        batches, removed, *_ = await self._calls.run("log_page", keys, since, size)
        return read_batches(batches), set(map(int, removed))

    async def page(self, room: RoomRef, since: int, size: int) -> Page:
        """:meth:`replay`, and how the room stood then."""
        keys = [
            self._keys.log(room.host, room.id),
            removed_key(room.base, room.id),
            self._keys.room(room.host, room.id),
        ]
        packed, removed, state = await self._calls.run("log_page", keys, since, size)
        batches = read_batches(packed)
        shown = [blank(batch, set(map(int, removed))) for batch in batches] if removed else batches
        return Page(shown, _read_lineage(*state))

    async def presence(self, room: RoomRef, node: str, viewers: int) -> int:
        """Say how many viewers this node has; returns how many there are on all nodes."""
        options = (room.id, node, viewers, round(PRESENCE_STALE * 1000))
        state, live_by_viewers = self._keys.room(room.host, room.id), self._keys.live(room.base)[1]
        keys = [state, presence_key(room.base, room.id), live_by_viewers]
        return int(await self._calls.timed("presence", keys, options))

    async def batches(self, room: RoomRef, since: int, page: int = LOG_PAGE) -> AsyncIterator[RoomBatch]:
        """All logged batches after ``since``, read in pages of about ``page`` bytes."""
        while found := await self.replay(room, since, page):
            for batch in found:
                yield batch.after(since)
                since = batch.last


def _read_lineage(seq: bytes | None, epochs: bytes | None) -> Lineage:
    return Lineage(int(seq or 0), tuple(map(tuple, unpack(epochs))) if epochs else ())


def _read_rules(found: Any) -> RoomRules:
    """The rules as the snapshot's script gives them, if there are any."""
    if not found:
        return NO_RULES
    *numbers, regions = found
    gifting, min_age, max_gift, slow = numbers
    return read_rules(gifting, min_age, max_gift, slow, regions.decode())


def decode_top(ranked: list[Any]) -> list[events.Ranked]:
    """A ranking as the scripts give it."""
    return [events.Ranked(events.decode_user(user), coins) for user, coins in ranked]
