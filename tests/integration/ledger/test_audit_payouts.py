"""The audit names each thing that was tampered with in payouts and claw-backs; also of trimmed books."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgpack
import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting.archive.archiver import Archiver
from gifting.archive.ledger_items import ledger_items
from gifting.archive.store import Store
from gifting.ledger import trimming
from gifting.ledger.audit import audit
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.payouts import Hold
from gifting.model.money import key_time, parse_key
from gifting.model.payouts import Fact, Kind, Payout, pack_payout, payout_id, unpack_payout
from gifting.model.reversals import Given, reversal_key
from tests.support.tampering import World as Tampering
from tests.support.world import World, a_world

COUNT = 100


class Books:
    """``host`` has a payout on its way, one that is paid and one that came back, and a gift of it was reversed."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.redis = world.redis
        self.url = url
        self.base = world.base("host")
        self.payouts: list[Payout] = []
        self.reversal = b""

    async def fill(self) -> None:
        world = self.world
        await world.grant("ann", 10_000)
        key = world.key()
        sent = await world.send(count=COUNT, key=key)
        await world.send(count=10 * COUNT)
        for _ in range(3):
            self.payouts.append(await self.request(50_000))
        for made, kinds in zip(self.payouts[1:], ([Kind.PAID], [Kind.PAID, Kind.RETURNED]), strict=True):
            await world.ledger.payouts.sending(made.id, world.clock[0])
            for kind in kinds:
                fact = Fact("sandbox", kind, world.clock[0], made.id, f"sandbox:po_{made.id}")
                await world.ledger.payouts.apply(fact)
        gift, now = parse_key(key), world.clock[0]
        given = Given(gift, "ann", "r1", "host", sent.seq, "spark", COUNT, COUNT, COUNT * 500, now)
        half = await world.ledger.reversals.give_back(given, "op", "a test", "", now)
        await world.ledger.reversals.take_from_host(half, now)
        self.reversal = reversal_key("ann", gift)

    async def request(self, diamonds: int) -> Payout:
        key = parse_key(self.world.key())
        made = Payout(
            id=payout_id("host", key),
            host="host",
            digest=b"8 bytes!",
            provider="sandbox",
            account="acct",
            diamonds=diamonds,
            amount=diamonds // 2000,
            currency="USD",
            created=key_time(key),
        )
        return await self.world.ledger.payouts.request(made, Hold(0), lambda _: None)

    @property
    def key(self) -> str:
        return f"{self.base}:payouts:host"

    @property
    def clawbacks(self) -> str:
        return f"{self.base}:clawbacks:host"

    def reference(self, name: str) -> tuple[str, str]:
        full = f"payout:{name}"
        return self.world.ledger.keys.references(full), full

    async def rewrite(self, place: int, change: Callable[[Payout], Payout]) -> None:
        """Change a kept payout past the ledger."""
        name = self.payouts[place].id
        await self.redis.hset(self.key, name, pack_payout(change(unpack_payout(await self.redis.hget(self.key, name)))))

    async def change_entry(self, kind: bytes, number: int, change: Callable[[list[Any]], list[list[Any]]]) -> None:
        """An entry of its kind becomes others."""
        seen = -1

        def each(entry: list[Any]) -> Iterator[list[Any]]:
            nonlocal seen
            seen += entry[0] == kind
            return iter(change(entry) if entry[0] == kind and seen == number else [entry])

        hand = Tampering(self.url)
        await hand.change_entries(self.base, each)
        await hand.redis.aclose()

    async def causes(self) -> set[str]:
        report = await audit(self.redis, self.world.ledger.keys)
        return {group.name for group in report.groups}


@pytest.fixture
async def books(redis_client: Redis, redis_url: str) -> AsyncIterator[Books]:
    async with a_world(redis_url, like_interval=0) as world:
        made = Books(world, redis_url)
        await made.fill()
        yield made


async def test_books_that_nobody_has_touched_are_clean(books: Books) -> None:
    report = await audit(books.redis, books.world.ledger.keys)
    assert report.clean, report.lines()


def with_entry(place: int, value: Any) -> Callable[[list[Any]], list[list[Any]]]:
    return lambda entry: [[*entry[:place], value, *entry[place + 1 :]]]


def gone(_: list[Any]) -> list[list[Any]]:
    return []


def again(entry: list[Any]) -> list[list[Any]]:
    return [entry, entry]


Tamper = Callable[[Books], Awaitable[Any]]

TAMPERED: dict[str, tuple[Tamper, set[str]]] = {
    "a payout that is gone": (lambda b: b.redis.hdel(b.key, b.payouts[1].id), {"payout_missing"}),
    "a payout that is none": (lambda b: b.redis.hset(b.key, b.payouts[0].id, b"x"), {"payout_broken"}),
    "a payout of somebody else": (lambda b: b.rewrite(0, lambda one: replace(one, host="eve")), {"payout_broken"}),
    "a payout of more": (lambda b: b.rewrite(0, lambda one: replace(one, diamonds=60_000)), {"payout_differs"}),
    "a payout of other money": (lambda b: b.rewrite(0, lambda one: replace(one, amount=26)), {"payout_differs"}),
    "a payout that never left": (
        lambda b: b.redis.hset(b.key, "made up", pack_payout(replace(b.payouts[0], id="made up"))),
        {"payout_differs"},
    ),
    "one that forgot its return": (lambda b: b.rewrite(2, lambda one: replace(one, back=False)), {"payout_differs"}),
    "one that says it is back": (lambda b: b.rewrite(1, lambda one: replace(one, back=True)), {"payout_differs"}),
    "one that failed, and is not back": (
        lambda b: b.rewrite(1, lambda one: replace(one, failed_at=1)),
        {"payout_behind"},
    ),
    "a reference that leads elsewhere": (
        lambda b: b.redis.hset(*b.reference(b.payouts[1].id), "x"),
        {"reference_differs"},
    ),
    "a reference that is gone": (
        lambda b: b.redis.hdel(*b.reference(f"sandbox:po_{b.payouts[1].id}")),
        {"reference_differs"},
    ),
    "an entry that is gone": (lambda b: b.change_entry(b"payout", 0, gone), {"payout_differs"}),
    "an entry of less": (lambda b: b.change_entry(b"payout", 0, with_entry(5, 49_000)), {"payout_differs"}),
    "an entry that came twice": (lambda b: b.change_entry(b"payout", 0, again), {"key_twice"}),
    "an entry with another key": (lambda b: b.change_entry(b"payout", 0, with_entry(2, bytes(16))), {"payout_wrong"}),
    "what came back has another key": (
        lambda b: b.change_entry(b"payout", 3, with_entry(2, bytes(16))),
        {"payout_wrong"},
    ),
    "more came back than had left": (lambda b: b.change_entry(b"payout", 3, with_entry(5, -51_000)), {"payout_wrong"}),
    "what came back had never left": (lambda b: b.change_entry(b"payout", 2, gone), {"payout_wrong"}),
    "a claw-back that nobody keeps": (lambda b: b.redis.hdel(b.clawbacks, b.reversal), {"clawback_missing"}),
    "one that is kept as of less": (
        lambda b: b.redis.hset(b.clawbacks, b.reversal, b"".join(map(msgpack.packb, (1, 0, 0)))),
        {"clawback_differs"},
    ),
    "one that can't be read": (lambda b: b.redis.hset(b.clawbacks, b"x" * 16, b"\xc1"), {"clawback_differs"}),
    "one that was never entered": (
        lambda b: b.redis.hset(b.clawbacks, b"x" * 16, b"\0\0\0"),
        {"clawback_differs"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
async def test_what_was_tampered_with_is_named(books: Books, name: str) -> None:
    tamper, causes = TAMPERED[name]
    await tamper(books)
    found = await books.causes()
    assert causes <= found, found
    assert found <= causes | {"ledger_items_deleted", "diamonds_differ"}, found


async def test_a_payout_that_nobody_has_carried_on_may_have_no_reference(books: Books) -> None:
    await books.redis.hdel(*books.reference(books.payouts[0].id))
    assert not await books.causes()


async def test_it_is_clean_while_payouts_come_and_go(books: Books) -> None:
    async def pay() -> None:
        world = books.world
        for _ in range(10):
            made = await books.request(10_000)
            await world.ledger.payouts.sending(made.id, world.clock[0])
            await world.ledger.payouts.apply(Fact("sandbox", Kind.FAILED, world.clock[0], made.id))

    async def look() -> None:
        for _ in range(5):
            report = await audit(books.redis, books.world.ledger.keys)
            assert report.clean, report.lines()

    await asyncio.gather(pay(), pay(), look())


async def test_trimmed_books_are_held_to_the_same(books: Books, store: Store, archive_url: str) -> None:
    world = books.world
    archiver = Archiver(world.redis, world.ledger.keys, "gifting", store)
    while await archiver.round():
        pass
    await trimming.trim(world.redis, world.ledger.keys, 0, str(2**45))
    await books.request(10_000)
    name = await world.redis.hget(world.ledger.keys.meta, ARCHIVE)
    async with ledger_items(archive_url, world.ledger.keys, name.decode()) as older:
        report = await audit(world.redis, world.ledger.keys, older.of)
        assert report.clean, report.lines()
        await books.redis.hdel(books.key, books.payouts[0].id)
        await books.redis.hdel(books.clawbacks, books.reversal)
        report = await audit(world.redis, world.ledger.keys, older.of)
        assert {group.name for group in report.groups} == {"payout_missing", "clawback_missing"}
