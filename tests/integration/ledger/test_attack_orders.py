"""The ledger's part of a purchase, broken off at every step: what is done again ends as if nothing had been.

A crash point is a command of Redis. Before it the connection is cut, or after it, so that the reply is lost; or Redis
is killed there, and comes back with what it had on disk. A script that breaks off half-way issues nothing twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis.asyncio import Redis

from gifting import config, errors
from gifting.ledger.account import Frozen
from gifting.ledger.audit import audit
from gifting.ledger.halt import open_books
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.effects import Effect, Kind, effect_key
from gifting.model.money import make_key
from gifting.model.orders import Order, pack_order
from tests.support.accounts import account_of
from tests.support.lua import break_off
from tests.support.orders import anyone, draft, paid, said
from tests.support.proxy import RedisProxy
from tests.support.redis_server import folder_in_memory, redis_server
from tests.support.world import START, World, a_world

pytestmark = [pytest.mark.attack, pytest.mark.usefixtures("unwatched")]

USER = "ann"
BUY, WITHDRAW = (make_key(START, bytes(9) + number) for number in (b"1", b"2"))
BUDGET = 100
STEPS_MAX = 200

Crash = Callable[[], Awaitable[None]]


def an_order() -> Order:
    return draft(USER, BUY, promotion="spring", promotion_cost=20)


async def purchase(ledger: Ledger) -> None:
    """All that the ledger does for an order, which is paid, refunded in part, and withdrawn from."""
    orders = ledger.orders
    order = await orders.open(an_order(), anyone, BUDGET)
    await orders.attach(order.id, "https://pay/1", "sandbox:cs_1", order.expires)
    await orders.apply(said(order, Kind.PAYING, "payment"))
    await orders.apply(paid(order))
    await orders.apply(said(order, Kind.REFUNDED, "first", amount=300))
    order, one = await orders.withdraw(order.id, WITHDRAW, START)
    await orders.apply(said(order, Kind.REFUNDED, "second", amount=one.amount, withdrawal=WITHDRAW))
    await orders.withdrawn(order.id, WITHDRAW, START + 1)
    await orders.settle_promotions(order.expires, 10)


class End(NamedTuple):
    """How it ended."""

    order: bytes
    account: Any
    entries: int
    used: dict[str, int]
    due: int


async def end_of(ledger: Ledger) -> End:
    report = await audit(ledger.redis, ledger.keys)
    assert report.clean, report.lines()
    order = await ledger.orders.get(an_order().id)
    base = ledger.keys.base(USER)
    entries = await ledger.redis.xlen(f"{base}:ledger")
    used = await ledger.promotions.used(["spring"])
    due = await ledger.orders.due(2**53, 10)
    return End(pack_order(order), await account_of(ledger.redis, base, USER), entries, used, len(due))


@asynccontextmanager
async def a_ledger(url: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(url, config.load({"ledger_timeout": 5}, environ={}), load_catalog(), now=lambda: str(START))
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


class Trap:
    """Lets ``crash`` happen at one command, before it or after it; ``sprung`` if it came to that."""

    def __init__(self, at: int, after: bool) -> None:
        self.at = at
        self.after = after
        self.count = 0
        self.armed = self.sprung = False
        self.proxy: RedisProxy
        self.crash: Crash

    async def before(self, words: list[bytes]) -> list[bytes]:
        if not self.armed or words[0] in (b"HELLO", b"CLIENT", b"SELECT"):
            return words
        self.count += 1
        if self.count == self.at:
            self.armed, self.sprung = False, True
            if self.after:
                self.proxy.mute = True
                asyncio.ensure_future(self._spring())  # noqa: RUF006
            else:
                await self.crash()
                self.proxy.cut()
                await asyncio.sleep(0)
        return words

    async def _spring(self) -> None:
        await self.proxy.swallowed.wait()
        await self.crash()
        self.proxy.cut()


async def nothing_more() -> None:
    """The connection is cut, and that is all."""


async def tried(ledger: Ledger, trap: Trap) -> bool:
    """Whether the purchase came to its end."""
    trap.armed = True
    try:
        await purchase(ledger)
    except errors.Unavailable:
        return False
    finally:
        trap.armed = False
    return True


@pytest.fixture
async def undisturbed(redis_client: Redis, redis_url: str) -> AsyncIterator[End]:
    async with a_ledger(redis_url) as ledger:
        await purchase(ledger)
        end = await end_of(ledger)
    await redis_client.flushall()
    yield end


def test_the_keys_of_this_purchase_are_its_own() -> None:
    assert len({effect_key(paid(an_order())), BUY, WITHDRAW}) == 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "reply lost"])
@pytest.mark.one_redis("a proxy stands before it")
async def test_a_connection_that_is_lost_at_each_step(
    redis_client: Redis, redis_url: str, undisturbed: End, after: bool
) -> None:
    for at in range(1, STEPS_MAX):
        await redis_client.flushall()
        trap = Trap(at, after)
        async with RedisProxy(redis_url, trap.before) as proxy:
            trap.proxy, trap.crash = proxy, nothing_more
            async with a_ledger(proxy.url) as ledger:
                assert await tried(ledger, trap) is not trap.sprung
        async with a_ledger(redis_url) as ledger:
            await purchase(ledger)
            assert await end_of(ledger) == undisturbed
        if not trap.sprung:
            break
    assert 25 < at < STEPS_MAX - 1


@pytest.mark.one_redis("a proxy stands before it")
async def test_a_withdrawal_whose_reply_is_lost_is_never_told_as_not_done(redis_client: Redis, redis_url: str) -> None:
    """A reader may be told that the ledger is away; who has taken coins says that nobody knows."""
    taken = 0
    for at in range(1, STEPS_MAX):
        await redis_client.flushall()
        async with a_ledger(redis_url) as ledger:
            order = await ledger.orders.open(an_order(), anyone, BUDGET)
            await ledger.orders.apply(paid(order))
        trap = Trap(at, after=True)
        async with RedisProxy(redis_url, trap.before) as proxy:
            trap.proxy, trap.crash = proxy, nothing_more
            async with a_ledger(proxy.url) as ledger:
                trap.armed = True
                try:
                    await ledger.orders.withdraw(order.id, WITHDRAW, START)
                except errors.Unavailable as error:
                    told = error
                finally:
                    trap.armed = False
        if not trap.sprung:
            break
        async with a_ledger(redis_url) as ledger:
            if WITHDRAW in (await ledger.orders.get(order.id)).withdrawals:
                assert isinstance(told, errors.OutcomeUnknown)
                taken += 1
            await ledger.orders.withdraw(order.id, WITHDRAW, START)
            assert (await account_of(ledger.redis, ledger.keys.base(USER), USER)).coins == 0
    assert taken == 1


@pytest.fixture
def own_folder() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


def serving(stack: ExitStack, folder: Path) -> str:
    url = f"unix://{folder}/redis.sock"
    flags = ["--port", "0", "--unixsocket", f"{folder}/redis.sock", "--unixsocketperm", "700"]
    stack.enter_context(redis_server(folder, flags, url, lambda client: client.ping()))
    return url


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.one_redis("it kills a server of its own, behind a proxy")
@pytest.mark.timeout(400)  # of sixty starts of a Redis
async def test_redis_is_killed_at_each_step(own_folder: Path, undisturbed: End, after: bool) -> None:
    """A purchase that is taken up again and again, each time until one step further."""
    for at in range(1, STEPS_MAX):
        trap = Trap(at, after)
        with ExitStack() as stack:
            url = serving(stack, own_folder)
            async with Redis.from_url(url) as client:
                await client.flushall()
                pid = (await client.info("server"))["process_id"]

            async def kill(pid: int = pid) -> None:
                os.kill(pid, signal.SIGKILL)

            async with RedisProxy(url, trap.before) as proxy:
                trap.proxy, trap.crash = proxy, kill
                async with a_ledger(proxy.url) as ledger:
                    assert await tried(ledger, trap) is not trap.sprung
        with ExitStack() as stack:
            async with a_ledger(serving(stack, own_folder)) as ledger:
                await purchase(ledger)
                assert await end_of(ledger) == undisturbed
        if not trap.sprung:
            break
    assert 25 < at < STEPS_MAX - 1


# Scripts that break off.


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, partitions=4) as made:
        yield made


async def broken_off(world: World, url: str, effect: Effect, at: int) -> bool:
    """Apply it on a node whose script breaks off at its call number ``at``; the books are opened again after that."""
    async with a_world(url, partitions=4) as node:
        try:
            with pytest.MonkeyPatch.context() as patch:
                break_off(patch, at, for_good=True)
                await node.ledger.orders.apply(effect)
        except errors.Unavailable:
            with pytest.raises(errors.LedgerHalted):
                await node.ledger.orders.apply(effect)
        else:
            return False
    assert await open_books(world.ledger.redis, world.ledger.keys.meta)
    return True


@pytest.mark.parametrize("what", ["paid", "refunded", "disputed", "refund_failed"])
@pytest.mark.parametrize("meanwhile", [False, True], ids=["alone", "a grant meanwhile"])
async def test_a_script_that_breaks_off_anywhere_is_completed_by_the_same_effect(
    world: World, redis_url: str, what: str, meanwhile: bool
) -> None:
    """At each of its calls. What the user has in the end is as if nothing had broken off, and so are the books."""
    orders = world.ledger.orders
    for at in range(1, 60):
        order = await orders.open(draft(f"u{at}", world.key()), anyone)
        before, effect = ways(order)[what]
        for one in before:
            await orders.apply(one)
        broke = await broken_off(world, redis_url, effect, at)
        if meanwhile:
            await world.ledger.wallets.grant(order.user, 30, world.key(), "reason", "operator")
        for _ in range(2):
            await orders.apply(effect)
        found = await account_of(world.redis, world.base(order.user), order.user)
        report = await audit(world.redis, world.ledger.keys)
        assert report.clean, (at, report.lines())
        assert found.coins - found.debt - 30 * meanwhile == (60 if what == "refunded" else 120)
        assert bool(found.frozen & Frozen.DISPUTE) is (what == "disputed")
        key, *_ = world.ledger.keys.orders(order.user)
        assert set(await world.redis.hkeys(key)) == {b"v", order.id.encode()}, "nothing of it stays"
        assert not [name for name in await world.redis.hkeys(f"{world.base(order.user)}:coins") if b"redo" in name]
        if not broke:
            break
    assert 12 < at < 59


def ways(order: Order) -> dict[str, tuple[list[Effect], Effect]]:
    """What is said before, and then."""
    half = said(order, Kind.REFUNDED, "refund", amount=500)
    return {
        "paid": ([], paid(order)),
        "refunded": ([paid(order)], half),
        "disputed": ([paid(order)], said(order, Kind.DISPUTED)),
        "refund_failed": ([paid(order), half], said(order, Kind.REFUND_FAILED, "refund", at=order.created + 9)),
    }
