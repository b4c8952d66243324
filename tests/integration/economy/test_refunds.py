"""An operator refunds a purchase whose coins are spent, and reverses gifts with it: money goes back once, coins are
taken once, each gift is reversed once, whoever dies in between and however often it is asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.economy.economy import Economy
from gifting.economy.providers.sandbox.cards import Fate
from gifting.ledger.audit import audit
from gifting.model.consequences import State, state
from gifting.model.effects import Effect, Kind
from gifting.model.money_back import money_back
from gifting.model.protection import Protection
from tests.support.accounts import account_of
from tests.support.economy import NUMBERS, REASON, Killed, Killer, an_economy, bought, diamonds, gave, has, paid_back
from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.world import World, a_world


@pytest.fixture
async def economy(world: World) -> AsyncIterator[Economy]:
    world.clock[0] = time.time_ns() // 1_000_000
    async with an_economy(world) as made:
        yield made
    report = await audit(world.redis, world.ledger.keys)
    assert report.clean, report.lines()


async def test_its_coins_are_taken_its_money_goes_back_and_its_gifts_are_reversed(
    world: World, economy: Economy
) -> None:
    order = await bought(world, economy)
    gifts, key = await gave(world, 70, 40), world.key()
    done = await economy.refunds.refund(order, key, 0, gifts, "op", REASON)
    one = done.withdrawals[key]
    assert one.asked is not None
    assert (one.amount, one.coins, one.bonus, one.asked.by, one.asked.reason) == (1000, 100, 20, "op", REASON)
    assert one.done_at and one.asked.reversed_at
    assert (state(done), await paid_back(economy, order)) == (State.REFUNDED, [1000])
    assert (await has(world), await diamonds(world)) == ((0, 0, 0), 0)
    assert (await account_of(world.redis, world.base("ann"), "ann")).frozen == 0
    before = await world.state()
    assert await world.ledger.refunds.reversed(order.id, key, world.clock[0] + 1) == done
    again = await economy.refunds.refund(done, key.upper(), 0, [*gifts[::-1], gifts[0].upper()], "another", REASON)
    assert (again, await world.state()) == (done, before)
    found = await world.ledger.reversals.of_gifts("ann", [UUID(gift).bytes for gift in gifts])
    assert [(one.by, one.about, one.reason) for one in found.values()] == [("op", order.id, REASON)] * 2


async def test_in_part_and_of_some_gifts_and_what_they_do_not_settle_is_debt(world: World, economy: Economy) -> None:
    order = await bought(world, economy)
    first, _ = await gave(world, 30, 90)
    done = await economy.refunds.refund(order, world.key(), 500, [first], "op", REASON)
    assert (state(done), money_back(done), await has(world)) == (State.PARTLY_REFUNDED, 500, (0, 0, 30))
    rest = await economy.refunds.refund(done, world.key(), 0, [], "op", REASON)
    assert (await paid_back(economy, order), await has(world)) == ([500, 500], (0, 0, 90))
    assert sum(rest.taken) == 120


async def test_what_can_not_be_refunded_changes_nothing(world: World, economy: Economy) -> None:
    await world.grant("ann", 10)
    await world.grant("bob", 10)
    old = (await gave(world, 5))[0]
    world.clock[0] += 1
    order = await bought(world, economy, created=world.clock[0])
    foreign = world.key()
    await world.send("bob", count=3, key=foreign)
    (good,) = await gave(world, 20)
    withdrawn, _ = await world.ledger.orders.withdraw(order.id, kept := world.key(), world.clock[0])
    wrong: list[tuple[type[errors.GiftingError], dict[str, Any]]] = [
        (errors.NotReversible, {"amount": 1001}),
        (errors.NotReversible, {"gifts": [old]}),
        (errors.GiftNotFound, {"gifts": [foreign]}),
        (errors.GiftNotFound, {"gifts": [good, world.key()]}),
        (errors.BadKey, {"gifts": ["x"]}),
        (errors.BadKey, {"key": "x"}),
        (errors.KeyReused, {"key": kept}),
    ]
    before = await world.state()
    for error, change in wrong:
        asked: dict[str, Any] = {"key": world.key(), "amount": 0, "gifts": [], **change}
        with pytest.raises(error):
            await economy.refunds.refund(withdrawn, by="op", reason=REASON, **asked)
    assert await world.state() == before


@pytest.mark.parametrize("fate", [Fate.NO_REFUND, Fate.REFUND_FAILS])
async def test_where_the_provider_says_no_the_coins_come_back_and_no_gift_is_reversed(
    world: World, economy: Economy, fate: Fate
) -> None:
    order = await bought(world, economy, fate)
    gifts, key = await gave(world, 70), world.key()
    await economy.refunds.refund(order, key, 0, gifts, "op", REASON)
    reversed_ = bool(await world.ledger.reversals.find("ann", UUID(gifts[0]).bytes))
    assert reversed_ == (fate is Fate.REFUND_FAILS), "a refund that fails later does not give diamonds back"
    world.clock[0] += 3_600_000
    for _ in range(2):
        await economy.reconciliation.round()
    assert (await has(world))[0] == (120 if reversed_ else 50)
    assert state(await world.ledger.orders.get(order.id)) is State.PAID


async def test_without_an_answer_it_waits_and_the_worker_finishes_it(
    world: World, economy: Economy, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await bought(world, economy)
    gifts, key = await gave(world, 100), world.key()

    async def silent(*_: Any) -> None:
        raise errors.ProviderFailed("It does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(economy.sandbox, "refund", silent)
        waiting = await economy.refunds.refund(order, key, 0, gifts, "op", REASON)
        await economy.reconciliation.resume()
        assert await world.ledger.orders.get(order.id) == waiting
    assert (await has(world), await diamonds(world)) == ((0, 0, 100), 50_000)
    await economy.reconciliation.resume()
    await economy.reconciliation.resume()
    done = await world.ledger.orders.get(order.id)
    assert (await has(world), await diamonds(world), state(done)) == ((0, 0, 0), 0, State.REFUNDED)
    assert await paid_back(economy, order) == [1000]


async def test_a_refund_that_has_failed_by_then_reverses_no_gift(
    world: World, economy: Economy, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await bought(world, economy)
    gifts, key = await gave(world, 100), world.key()

    async def gone(*_: Any) -> None:
        raise errors.LedgerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(economy.reversals, "reverse", gone)
        half = await economy.refunds.refund(order, key, 0, gifts, "op", REASON)
        assert half.withdrawals[key].done_at
    failed = Effect("sandbox", "re_1", Kind.REFUND_FAILED, world.clock[0], order.id, withdrawal=key)
    await economy.purchases.take([failed])
    await economy.reconciliation.resume()
    done = await economy.refunds.refund(order, key, 0, gifts, "op", REASON)
    assert (await has(world), await diamonds(world), state(done)) == ((20, 0, 0), 50_000, State.PAID)
    assert not await world.ledger.reversals.find("ann", UUID(gifts[0]).bytes)


async def test_who_can_not_refund_is_named_before_anything_is_taken(world: World, economy: Economy) -> None:
    order = await bought(world, economy)
    del economy.purchases.providers["sandbox"]  # type: ignore[attr-defined]
    before = await world.state()
    with pytest.raises(errors.UnknownProvider):
        await economy.refunds.refund(order, world.key(), 0, [], "op", REASON)
    assert await world.state() == before


async def test_a_buyer_can_not_have_its_key_for_a_withdrawal(world: World, economy: Economy) -> None:
    order = await bought(world, economy)
    done = await economy.refunds.refund(order, key := world.key(), 100, [], "op", REASON)
    with pytest.raises(errors.KeyReused):
        await economy.withdrawals.withdraw(done, key, "")


@pytest.mark.attack
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("by", ["the same request", "the worker"])
async def test_whoever_dies_at_a_step_all_of_it_is_done_once(
    redis_client: Redis, redis_url: str, by: str, when: str
) -> None:
    for count in range(1, 30):
        await redis_client.flushall()
        async with a_world(redis_url) as world, an_economy(world) as economy:
            world.clock[0] = time.time_ns() // 1_000_000
            order = await bought(world, economy)
            gifts, key = await gave(world, 70, 50), world.key()
            with pytest.MonkeyPatch.context() as patch:
                killer = Killer(patch, count, when)
                with suppress(Killed):
                    await economy.refunds.refund(order, key, 0, gifts, "op", REASON)
            async with an_economy(world) as heir:
                begun = bool((await world.ledger.orders.get(order.id)).withdrawals)
                if by == "the worker":
                    for _ in range(2):
                        await heir.reconciliation.resume()
                if not begun or by == "the same request":
                    await heir.refunds.refund(await world.ledger.orders.get(order.id), key, 0, gifts, "op", REASON)
                done = await world.ledger.orders.get(order.id)
                assert (await has(world), await diamonds(world), state(done)) == ((0, 0, 0), 0, State.REFUNDED)
                assert await paid_back(heir, order) == [1000]
                assert not await world.ledger.orders.due(2**53, 10)
            assert (await audit(world.redis, world.ledger.keys)).clean
            if not killer.dead:
                break
    assert 8 < count < 29


@pytest.mark.slow
async def test_over_http_for_operators_only_once_per_key_and_in_their_acts(tmp_path: Path, server_redis: str) -> None:
    async with Server(
        tmp_path / "data", server_redis, providers="sandbox", sandbox_delay=0, message_rate=1000
    ) as server:
        await server.room("r1")
        await server.protect("ann", Protection(asked=1))
        buyer, operator = server.caller("ann", "viewer", region="DE", age=30), server.operator
        order = await buyer.call(
            "POST", "/v1/purchases", {"package": "coins-350", "provider": "sandbox", "key": new_key()}
        )
        pay = f"/v1/sandbox/checkouts/{order['url'].rpartition('/')[2]}/pay"
        await buyer.call("POST", pay, {"card": NUMBERS[Fate.PAYS]})
        path, gift = f"/v1/purchases/{order['id']}", new_key()
        while (await buyer.call("GET", path))["state"] != "paid":
            await asyncio.sleep(0.01)
        await buyer.call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "count": 350, "key": gift})
        with pytest.raises(errors.NoArchive):
            await operator.call("GET", f"{path}/gifts")
        body = {"gifts": [gift.upper()], "reason": REASON, "key": new_key(), "amount": order["price"]}
        with pytest.raises(errors.Forbidden):
            await buyer.call("POST", f"{path}/refund", body)
        done = await operator.call("POST", f"{path}/refund", body)
        assert (done["status"], done["amount"], done["coins"], done["bonus"]) == ("done", order["price"], 350, 0)
        assert done["gifts"] == [{"key": gift, "reversed": True, "paid": 0, "bonus": 350, "settled": 350}]
        assert await operator.call("POST", f"{path}/refund", body) == done
        others: list[dict[str, Any]] = [{"reason": "Another."}, {"amount": 0}, {"gifts": []}]
        for other in others:
            with pytest.raises(errors.KeyReused):
                await operator.call("POST", f"{path}/refund", body | other)
        with pytest.raises(errors.NotReversible):
            await operator.call("POST", f"{path}/refund", body | {"key": new_key()})
        with pytest.raises(errors.BadMessage):
            await operator.call("POST", f"{path}/refund", body | {"gifts": [new_key() for _ in range(51)]})
        with pytest.raises(errors.OrderNotFound):
            await operator.call("POST", f"/v1/purchases/{new_key()}/refund", body)
        (receipt,) = (await buyer.call("GET", path))["receipts"]
        assert (receipt["key"], receipt["status"], receipt["amount"]) == (body["key"], "done", order["price"])
        acts = (await operator.call("GET", "/v1/admin/acts"))["acts"]
        assert "refunded a purchase" in [one["act"] for one in acts]
    status, said = await server.audit()
    assert status == 0, said


async def test_the_same_key_for_two_purchases_names_two_withdrawals_and_two_refunds(
    world: World, economy: Economy
) -> None:
    orders = [await bought(world, economy) for _ in range(4)]
    refund, withdrawal = world.key(), world.key()
    for order in orders[:2]:
        await economy.refunds.refund(order, refund, 0, [], "op", REASON)
    for order in orders[2:]:
        offer = await economy.withdrawals.offer(order, withdrawal)
        await economy.withdrawals.withdraw(order, withdrawal, offer.token)
    for order in orders:
        assert await paid_back(economy, order) == [1000]
