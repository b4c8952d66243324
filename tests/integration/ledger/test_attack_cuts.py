"""Scripts that break off at each of their calls in turn: what is left is a debit without its credit, never the reverse,
and nobody who asks again is told of a success that was none, or is charged twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting import errors
from gifting.ledger.commit import EVENT, GIFT, LIKE, PendingCommit
from gifting.ledger.commit_keys import bucket_spot, room_spot
from gifting.ledger.entries import Credit, Debit, Grant
from gifting.ledger.keys import BUCKET_MS
from gifting.ledger.lookup import read_record
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, read_ledger
from gifting.model.events import encode_event
from gifting.model.money import key_time, parse_key
from gifting.model.packing import pack
from gifting.model.protection import read_protection
from gifting.model.values import RoomRef
from tests.support.lua import hook
from tests.support.world import World, a_world

pytestmark = [pytest.mark.attack, pytest.mark.one_redis("commit itself, cut in two")]

PRICE, COINS = 7, 100
HOUR = 3_600_000
CALLS_MAX = 150


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=4) as made:
        yield made


def break_off(patch: pytest.MonkeyPatch, at: int, stays_broken: bool) -> None:
    """At the script's call number ``at``; with ``stays_broken`` at all after it too."""
    when = "calls >= at" if stays_broken else "calls == at"
    broken = f"calls = calls + 1; if {when} then error({{ err = 'ERR broken off' }}, 0) end"
    hook(patch, f"local calls, at = 0, {at}", f"{broken}; return real.call(command, key, ...)")


async def ledger_of(world: World) -> list[Any]:
    return [entry async for _, _, entry in read_ledger(world.redis, dict.fromkeys(world.ledger.keys.bases, Span()))]


class Batch:
    """One call: two senders, two hosts of other partitions, a streak that ends, a refusal, likes and a comment."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.users = [f"ann{number}", f"bob{number}"]
        self.hosts = [f"host{number}", f"zoe{number}"]
        self.rooms: list[RoomRef] = []
        self.gifts: dict[bytes, tuple[str, int]] = {}
        self.items: list[PendingCommit] = []

    async def prepare(self) -> None:
        for host in self.hosts:
            self.rooms.append(await self.world.ledger.rooms.open(f"of-{host}", host, host, ""))
        for user in self.users:
            await self.world.grant(user, COINS)
        first = self.gift(0, 0)
        await self.world.raw_commit(first)
        self.world.clock[0] += HOUR  # what was spent before is counted as of that hour, in the same call
        self.gifts.clear()
        sent = [self.gift(0, 0), self.gift(0, 1), self.gift(1, 1), self.gift(1, 0), self.gift(1, 0, coins=1000)]
        comment = pack((self.rooms[0].id, self.hosts[0], encode_event("share", {}), "", 0, 0))[1:]
        likes = pack((self.rooms[1].id, self.hosts[1], encode_event("like", {"count": 2}, decided=1), 2))[1:]
        spots = [room_spot(room.base, room.id, room.host) for room in self.rooms]
        self.items = [
            *sent,
            PendingCommit(EVENT, None, spots[0], None, comment, print, 0.0),
            PendingCommit(LIKE, None, spots[1], None, likes, print, 0.0),
        ]

    def gift(self, user: int, room: int, coins: int = PRICE) -> PendingCommit:
        ref, sender = self.rooms[room], self.world.sender(self.users[user])
        key = parse_key(self.world.key())
        self.gifts[key] = (sender.id, room)
        target = pack((ref.id, ref.host, "spark", 1, b"\x80"))[1:]
        fields = pack((sender.id, key, key_time(key), b"8 bytes!", 1, coins, sender.user, b"", 0, False))[1:]
        bucket, spot = bucket_spot(sender.base, key_time(key) // BUCKET_MS), room_spot(ref.base, ref.id, ref.host)
        return PendingCommit(GIFT, bucket, spot, target, fields, print, 0.0, terms=sender.terms)

    async def coins(self) -> list[int]:
        return [(await self.world.ledger.wallets.read(user))[0] for user in self.users]

    async def diamonds(self) -> list[int]:
        return [(await self.world.ledger.wallets.read(host))[1] for host in self.hosts]

    async def entries(self) -> list[Any]:
        return [entry for entry in await ledger_of(self.world) if entry.key in self.gifts]

    async def kept(self) -> dict[bytes, int]:
        """The status that is kept under each key."""
        found = {}
        for key, (user, _) in self.gifts.items():
            bucket = f"{self.world.base(user)}:keys:{key_time(key) // BUCKET_MS}"
            record = await self.world.redis.hget(bucket, key)
            if record is not None:
                found[key] = read_record(record).status
        return found


@pytest.mark.parametrize("stays_broken", [False, True])
async def test_a_commit_that_breaks_off(world: World, stays_broken: bool) -> None:
    broken = written = 0
    for at in range(1, CALLS_MAX):
        batch = Batch(world, at)
        await batch.prepare()
        before, earned = await batch.coins(), await batch.diamonds()
        try:
            with pytest.MonkeyPatch.context() as patch:
                break_off(patch, at, stays_broken)
                await world.raw_commit(*batch.items)
        except ResponseError as error:
            assert "broken off" in str(error)
            broken += 1
        else:
            break
        written += await check(batch, before, earned)
        await ask_again(batch, safe=not stays_broken)
    assert broken == at - 1
    assert 50 < broken < CALLS_MAX - 1
    assert 15 < written < broken


async def test_what_was_kept_before_is_told_after(world: World) -> None:
    """A call that breaks off is in doubt of the keys that it took, not of one that it was only asked again for."""
    batch = Batch(world, 0)
    await batch.prepare()
    first = batch.gift(0, 0)
    (told,) = await world.raw_commit(first)
    for at in range(1, CALLS_MAX):
        try:
            with pytest.MonkeyPatch.context() as patch:
                break_off(patch, at, stays_broken=False)
                await world.raw_commit(first, batch.gift(0, 0))
        except ResponseError:
            assert await world.raw_commit(first) == [told._replace(how=1)]
        else:
            break
    assert 15 < at < CALLS_MAX - 1


async def check(batch: Batch, before: list[int], earned: list[int]) -> bool:
    """What is left. Whether anything was written."""
    after, now_earned = await batch.coins(), await batch.diamonds()
    assert all(was - now in (0, 2 * PRICE) for was, now in zip(before, after, strict=True))
    for user in batch.users:
        account, record = await batch.world.ledger.accounts.read(user)
        counted = account.since + sum(coins for _, coins in read_protection(record).hours)
        assert counted >= account.sent, "limits would forget what was spent"
    debited = [was - now == 2 * PRICE for was, now in zip(before, after, strict=True)]
    credited = [now > was for was, now in zip(earned, now_earned, strict=True)]
    entries = await batch.entries()
    paid = {entry.key for entry in entries if isinstance(entry, Debit)}
    got = {entry.key for entry in entries if isinstance(entry, Credit)}
    assert got <= paid
    assert not (any(credited) or got) or (all(debited) and len(paid) == 4)
    for room, first, was_credited in zip(batch.rooms, (PRICE, 0), credited, strict=True):
        logged = [each.totals.coins async for each in batch.world.ledger.rooms.batches(room, 0)]
        assert was_credited or max(logged, default=0) <= first
    for key, status in (await batch.kept()).items():
        assert status in (Status.OUTCOME_UNKNOWN, Status.OK, Status.INSUFFICIENT_COINS)
        assert status != Status.OK or key in got
    return any(debited) or any(credited) or bool(entries)


async def ask_again(batch: Batch, safe: bool) -> None:
    """With ``safe`` the doubt could be kept."""
    before, kept = await batch.coins(), await batch.kept()
    touched = before != [COINS - PRICE, COINS]
    results = await batch.world.raw_commit(*batch.items)
    got = {entry.key for entry in await batch.entries() if isinstance(entry, Credit)}
    for key, result in zip(batch.gifts, results, strict=False):
        if result.status == Status.OK:
            assert key in got
            assert result.how == (key in kept)
    if safe and touched:
        assert await batch.coins() == before
        assert {result.status for result in results[:4]} <= {Status.OUTCOME_UNKNOWN, Status.OK}


@pytest.mark.parametrize("stays_broken", [False, True])
async def test_a_grant_that_breaks_off(world: World, stays_broken: bool) -> None:
    for at in range(1, 30):
        user, key = f"user{at}", world.key()
        try:
            with pytest.MonkeyPatch.context() as patch:
                break_off(patch, at, stays_broken)
                await world.grant(user, 5, key)
        except errors.OutcomeUnknown:
            world.ledger.halt.why = ""
        else:
            break
        coins = (await world.ledger.wallets.read(user))[0]
        issued = [entry for entry in await ledger_of(world) if entry.key == parse_key(key)]
        assert not coins or (len(issued) == 1 and isinstance(issued[0], Grant))
        if not stays_broken and issued:
            with pytest.raises(errors.OutcomeUnknown):
                await world.grant(user, 5, key)
            assert (await world.ledger.wallets.read(user))[0] == coins
        world.ledger.halt.why = ""
    assert 8 < at < 29
