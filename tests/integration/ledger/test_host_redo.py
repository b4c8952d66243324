"""What breaks off of a host's payout, claw-back, settlement or record is completed by whatever is done of it next,
before that decides anything: no diamonds are paid that a reversal has taken, none are taken that have been paid.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger.audit import audit
from gifting.ledger.creators import KEEP
from gifting.ledger.entries import AccountChange, Clawback, Payout
from gifting.ledger.halt import open_books
from gifting.ledger.payouts import Hold
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, read_ledger
from gifting.model.creator import DESTINATION_WAIT_MS, CreatorRecord, with_destination
from gifting.model.money import key_time, parse_key
from gifting.model.payouts import Fact, Kind, payout_id
from gifting.model.payouts import Payout as Record
from gifting.model.reversals import Given, Reversal
from tests.support.archived import archive_and_trim
from tests.support.lua import break_off
from tests.support.world import World, a_world

pytestmark = pytest.mark.usefixtures("unwatched")

GIVEN = 100_000
"""Milli-diamonds that the host has earned by each of two gifts that are being reversed."""

PAID = 150_000
OWED = 20_000


class Host:
    """One host, of whom much happens, each thing as often as it is asked for and once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reversal: Reversal
        self.earlier: Reversal
        self.payouts: dict[str, Record] = {}

    async def begin(self) -> None:
        await self.world.grant("ann", 10_000)
        self.reversal, self.earlier = await self.given_back(), await self.given_back()

    async def given_back(self) -> Reversal:
        """A gift that is half reversed."""
        key, now = self.world.key(), self.world.clock[0]
        sent = await self.world.send(count=GIVEN // 500, key=key)
        given = Given(parse_key(key), "ann", "r1", "host", sent.seq, "spark", GIVEN // 500, GIVEN // 500, GIVEN, now)
        return await self.world.ledger.reversals.give_back(given, "op", "a test", "", now)

    async def ask(self, name: str, diamonds: int) -> Record:
        made = self.payouts.setdefault(name, self.draft(diamonds))
        return await self.world.ledger.payouts.request(made, Hold(0), lambda _: None)

    def draft(self, diamonds: int) -> Record:
        key = parse_key(self.world.key())
        money = {"amount": diamonds // 2000, "currency": "USD", "provider": "sandbox", "account": "acct"}
        made = {"id": payout_id("host", key), "host": "host", "digest": b"8 bytes!", "created": key_time(key)}
        return Record(diamonds=diamonds, **made, **money)  # type: ignore[arg-type]

    async def paid(self) -> None:
        """Unless somebody has taken what it needs."""
        try:
            await self.ask("large", PAID)
        except errors.NotEnoughDiamonds:
            del self.payouts["large"]

    async def returned(self) -> None:
        """A payout of before comes back."""
        made = self.payouts["small"]
        await self.world.ledger.payouts.sending(made.id, self.world.clock[0])
        await self.world.ledger.payouts.apply(Fact("sandbox", Kind.FAILED, self.world.clock[0], made.id))

    async def clawed(self) -> None:
        await self.world.ledger.reversals.take_from_host(self.reversal, self.world.clock[0])

    async def settled(self) -> None:
        await self.world.ledger.reversals.settle("host", self.world.clock[0])

    async def changed(self) -> None:
        said = {"what": "tier", "value": "gold", "by": "op"}
        await self.world.ledger.creators.change("host", lambda one: replace(one, tier="gold"), commission=500, **said)

    async def counts(self) -> list[int]:
        """How often each kind of entry is there."""
        spans = {self.world.base("host"): Span()}
        found = [type(entry) async for _, _, entry in read_ledger(self.world.redis, spans)]
        return [found.count(kind) for kind in (Payout, Clawback, AccountChange)]


DEEDS: dict[str, Callable[[Host], Awaitable[None]]] = {
    "paid": Host.paid,
    "returned": Host.returned,
    "clawed": Host.clawed,
    "settled": Host.settled,
    "changed": Host.changed,
}

ROOM = {"room_seq_gap", "room_seq_differs"}
"""What breaks off between a room's seq and its log leaves that, as with every script."""


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=2, like_interval=0) as made:
        yield made


async def broken_off(url: str, host: Host, deed: Callable[[Host], Awaitable[None]], at: int) -> bool:
    """Whether the deed broke off at that call of its scripts, on another node."""
    async with a_world(url, partitions=2) as node:
        mine, host.world = host.world, node
        try:
            with pytest.MonkeyPatch.context() as patch:
                break_off(patch, at)
                await deed(host)
        except errors.Unavailable:
            return True
        finally:
            host.world = mine
            await open_books(mine.redis, mine.ledger.keys.meta)
    return False


@pytest.mark.attack
@pytest.mark.parametrize("then", DEEDS)
@pytest.mark.parametrize("first", DEEDS)
async def test_what_breaks_off_anywhere_is_completed_by_what_comes_next(
    redis_client: Redis, redis_url: str, first: str, then: str
) -> None:
    for at in range(1, 60):
        await redis_client.flushall()
        async with a_world(redis_url, partitions=2, like_interval=0) as world:
            host = Host(world)
            await host.begin()
            await host.ask("small", OWED)
            if "settled" in (first, then):  # there is debt, and then something to settle it
                await host.ask("all", 2 * GIVEN - OWED)
                await world.ledger.reversals.take_from_host(host.earlier, world.clock[0])
                await world.send(count=(GIVEN + PAID) // 500)
            before = await host.counts()
            broke = await broken_off(redis_url, host, DEEDS[first], at)
            await DEEDS[then](host)
            await DEEDS[first](host)
            for deed in ("clawed", "settled"):
                await DEEDS[deed](host)
            found = await host.counts()
            assert found[2] == before[2] + ("changed" in (first, then))
            report = await audit(world.redis, world.ledger.keys)
            assert {one.name for one in report.problems} <= ROOM, (at, report.lines())
            assert not await world.redis.hexists(world.ledger.keys.payouts_of("host")[0], "redo")
            fields = await world.redis.hkeys(f"{world.base('host')}:diamonds")
            assert broke or not [name for name in fields if name.startswith(b"redo")]
        if not broke:
            break
    assert 8 < at < 59


async def test_a_destination_that_broke_off_waits_no_less_and_is_not_overlooked(
    redis_client: Redis, redis_url: str
) -> None:
    """Nor does the one of before come back at once."""
    for at in range(1, 60):
        await redis_client.flushall()
        async with a_world(redis_url, partitions=2, like_interval=0) as world:
            host = Host(world)

            async def put(account: str, host: Host = host) -> None:
                now = host.world.clock[0]

                def rule(record: CreatorRecord) -> CreatorRecord:
                    return with_destination(record, "sandbox", account, now)

                creators = host.world.ledger.creators
                await creators.change("host", rule, what="destination", value=account, by="host")

            await put("first")
            broke = await broken_off(redis_url, host, lambda _: put("second"), at)
            entered = (await host.counts())[2] == 2
            world.clock[0] += DESTINATION_WAIT_MS
            await put("first")
            to = (await world.ledger.creators.settled("host")).record.destination
            assert to is not None
            assert to.account == "first"
            assert to.good_at == (world.clock[0] + DESTINATION_WAIT_MS if entered else to.since)
            assert (await host.counts())[2] == (3 if entered else 1)
        if not broke:
            break
    assert 8 < at < 59


async def test_what_broke_off_is_not_trimmed_away(redis_client: Redis, redis_url: str) -> None:
    for at in range(1, 60):
        await redis_client.flushall()
        async with a_world(redis_url, partitions=2, like_interval=0) as world:
            host = Host(world)
            await host.begin()
            broke = await broken_off(redis_url, host, Host.paid, at)
            for _ in range(2):
                await world.send()
            await archive_and_trim(world.redis, world.ledger.keys)
            await host.paid()
            assert (await world.ledger.creators.read("host")).balance == 2 * GIVEN - PAID + 1000
        if not broke:
            break
    assert 8 < at < 59


async def test_a_change_that_looked_before_another_broke_off_completes_it_too(
    redis_client: Redis, redis_url: str
) -> None:
    for at in range(1, 60):
        await redis_client.flushall()
        async with a_world(redis_url, partitions=2, like_interval=0) as world:
            host = Host(world)
            await host.begin()
            broke = await broken_off(redis_url, host, Host.paid, at)
            record = CreatorRecord(v=1, tier="gold")
            assert await world.ledger.creators._put("host", record, KEEP, "tier", "gold", "op") == Status.OK
            await host.paid()
            assert (await world.ledger.creators.read("host")).balance == 2 * GIVEN - PAID
            assert (await audit(world.redis, world.ledger.keys)).clean
        if not broke:
            break
    assert 8 < at < 59
