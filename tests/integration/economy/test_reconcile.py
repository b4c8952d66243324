"""The reconciliation: what it finds, what it takes up again, and that one who fails keeps nobody from anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import config, errors
from gifting.economy.draft import Rules, Wanted
from gifting.economy.payouts import Payouts
from gifting.economy.providers.base import Provider, ProviderRefused, Told
from gifting.economy.providers.registry import Parts
from gifting.economy.providers.sandbox import checkout as checkouts
from gifting.economy.providers.sandbox.cards import CARDS, Fate
from gifting.economy.providers.sandbox.provider import Sandbox
from gifting.economy.purchases import Purchases
from gifting.economy.reconcile import BANKS, GRACE, Reconciliation
from gifting.economy.refunds import Refunds
from gifting.economy.reversals import Reversals
from gifting.economy.support import Support
from gifting.economy.withdrawals import Withdrawals
from gifting.errors import KeyReused, PriceTooLow, ProviderFailed
from gifting.model.consequences import State, state
from gifting.model.creators import load_creators
from gifting.model.effects import Effect, Kind
from gifting.model.money import parse_key
from gifting.model.orders import Order
from gifting.model.prices import load_prices
from gifting.model.protection import Protection, write_protection
from gifting.model.regions import load_regions
from gifting.model.standing import Standing
from tests.support.world import World, a_world

NUMBERS = {card.fate: card.number for card in CARDS}
SECRET = "a secret of 32 bytes or more, for tests"


class Flaky(Sandbox):
    """A sandbox that can be out of reach. ``seen``: from when on it was asked for news."""

    down = False
    refuses = False
    deaf: tuple[str, ...] = ()
    takes_from = 0

    def least(self, currency: str) -> int:
        return self.takes_from

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.seen: list[int] = []
        self.given_back: list[str] = []

    async def create(self, order: Order, return_url: str) -> Any:
        self._reach()
        if self.refuses:
            raise ProviderRefused("No.")
        return await super().create(order, return_url)

    async def reconcile(self, since_ms: int) -> Sequence[Told]:
        self._reach()
        self.seen.append(since_ms)
        return await super().reconcile(since_ms)

    async def delivered(self, order: Order) -> None:
        if order.id in self.deaf:
            raise ProviderFailed("It did not hear that the coins are there.")

    async def give_back(self, order: Order, payment: str) -> None:
        self._reach()
        if self.refuses:
            await super().give_back(order, payment)
        self.given_back.append(payment)

    async def refund(self, order: Order, amount: int, withdrawal: str) -> None:
        self._reach()
        await super().refund(order, amount, withdrawal)

    def _reach(self) -> None:
        if self.down:
            raise ProviderFailed("It does not answer.")


async def dumps(world: World) -> dict[bytes, Any]:
    return {name: await world.redis.dump(name) async for name in world.redis.scan_iter()}


class Books:
    """The economy of one process, by the world's clock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.world.ledger.upkeep.clock.now_ms = lambda: world.clock[0]  # type: ignore[method-assign]
        settings = config.load({"sandbox_delay": 1.0}, environ={})
        regions = load_regions()
        self.prices = load_prices("", regions.ids)
        rules = Rules(self.prices, replace(regions.of("DE"), wallet_max=0), frozenset({"personal"}), True)
        self.parts = Parts(settings, world.ledger, lambda: [SECRET], lambda: self.prices)
        self.provider = Flaky(self.parts)
        self.providers: dict[str, Provider] = {"sandbox": self.provider}
        self.purchases = Purchases(world.ledger, self.providers, lambda standing: rules)
        self.withdrawals = Withdrawals(world.ledger, self.purchases, lambda: SECRET)
        self.reversals = Reversals(world.ledger, self.purchases.tell)
        self.refunds = Refunds(world.ledger, self.purchases, self.withdrawals, self.reversals)
        self.reconciliation = Reconciliation(
            world.ledger,
            settings,
            self.purchases,
            self.refunds,
            self.reversals,
            Support(world.ledger, self.reversals),
            Payouts(world.ledger, {}, load_creators),
        )

    def wanted(self, key: str = "", **more: Any) -> Wanted:
        raw = parse_key(key or self.world.key())
        return Wanted("ann", Standing(30, "DE"), raw, "sandbox", "coins-350", 0, "", "")._replace(**more)

    async def begin(self, wanted: Wanted | None = None) -> Order:
        return await self.purchases.open(wanted or self.wanted(), "https://here.example")

    async def pay(self, order: Order, fate: Fate = Fate.PAYS) -> None:
        checkout = checkouts.checkout_id(order.id)
        await self.provider.change(checkout, lambda known, now: checkouts.pay(known, NUMBERS[fate], now))

    async def state(self, order: Order) -> State:
        return state(await self.world.ledger.orders.get(order.id))

    async def coins(self) -> int:
        return (await self.world.ledger.wallets.read("ann")).coins


@pytest.fixture
async def books(redis_client: Redis, redis_url: str) -> AsyncIterator[Books]:
    async with a_world(redis_url) as world:
        await world.redis.hset(f"{world.base('ann')}:accounts", "ann", write_protection(Protection(asked=1)))
        yield Books(world)


async def test_what_no_webhook_told_is_found_once(books: Books) -> None:
    order = await books.begin()
    await books.pay(order)
    for _ in range(3):
        await books.reconciliation.round()
    assert (await books.state(order), await books.coins(), books.reconciliation.found) == (State.PAID, 350, 1)


async def test_a_provider_is_asked_from_its_last_answer_on_and_what_it_missed_is_asked_again(books: Books) -> None:
    began = books.world.clock[0]
    await books.reconciliation.round()
    books.provider.down = True
    books.world.clock[0] += 10 * 3_600_000
    await books.reconciliation.round()
    books.provider.down = False
    await books.reconciliation.round()
    await books.reconciliation.round()
    hours = 10 * 3_600_000
    assert books.provider.seen == [began - 3 * 86_400_000, began - 600_000, began + hours - 600_000]


async def test_one_that_leads_nowhere_keeps_no_other_from_being_taken(books: Books) -> None:
    order = await books.begin()
    await books.pay(order)
    await books.world.redis.hdel(books.world.ledger.keys.references(order.id), order.id)
    other = await books.begin()
    await books.pay(other)
    await books.reconciliation.round()
    assert await books.coins() == 350 and await books.state(other) == State.PAID


async def test_a_provider_that_must_be_told_once_more_is_asked_from_there_again(books: Books) -> None:
    began, orders = books.world.clock[0], [await books.begin() for _ in range(2)]
    for order in orders:
        await books.pay(order)
    books.provider.deaf = (orders[0].id, orders[1].id)
    await books.reconciliation.round()
    assert await books.coins() == 700, "the first keeps the second from nothing"
    books.world.clock[0] += 3_600_000
    books.provider.deaf = ()
    await books.reconciliation.round()
    await books.reconciliation.round()
    then = books.world.clock[0]
    assert books.provider.seen == [began - 3 * 86_400_000, then - 3 * 86_400_000, then - 600_000]


async def test_a_checkout_that_could_not_be_made_is_made_with_the_same_key(books: Books) -> None:
    wanted = books.wanted()
    books.provider.down = True
    with pytest.raises(ProviderFailed):
        await books.begin(wanted)
    books.provider.down = False
    order = await books.begin(wanted)
    assert order.url == f"https://here.example/checkout/{checkouts.checkout_id(order.id)}"
    with pytest.raises(KeyReused):
        await books.begin(wanted._replace(package="coins-70"))


async def test_what_the_provider_does_not_take_is_refused_before_there_is_an_order(books: Books) -> None:
    books.provider.takes_from = 10_000
    before = await dumps(books.world)
    with pytest.raises(PriceTooLow, match=r"100\.00 EUR"):
        await books.begin()
    assert await dumps(books.world) == before
    books.provider.takes_from = 0
    await books.begin()


async def test_a_provider_that_says_no_ends_the_order(books: Books) -> None:
    wanted = books.wanted()
    books.provider.refuses = True
    with pytest.raises(ProviderRefused):
        await books.begin(wanted)
    books.provider.refuses = False
    order = await books.begin(wanted)
    assert state(order) == State.FAILED and not order.url


async def test_an_order_that_nobody_pays_is_over_and_one_whose_bank_is_slow_later(books: Books) -> None:
    order, slow = await books.begin(), await books.begin()
    said = Effect("sandbox", "cs_slow", Kind.PAYING, books.world.clock[0], slow.id)
    await books.purchases.take([said])
    books.world.clock[0] = order.expires + GRACE - 1
    await books.reconciliation.resume()
    assert await books.state(order) == State.CREATED
    books.world.clock[0] += 1
    await books.reconciliation.resume()
    assert (await books.state(order), await books.state(slow)) == (State.EXPIRED, State.PAYING)
    books.world.clock[0] = slow.expires + BANKS
    await books.reconciliation.resume()
    assert await books.state(slow) == State.EXPIRED


async def test_a_withdrawal_that_broke_off_is_taken_up_until_the_provider_answers(books: Books) -> None:
    order = await books.begin()
    await books.pay(order)
    await books.reconciliation.round()
    order, name = await books.world.ledger.orders.get(order.id), books.world.key()
    offer = await books.withdrawals.offer(order, name)
    books.provider.down = True
    order, made = await books.withdrawals.withdraw(order, name, offer.token)
    assert (made.done_at, made.failed_at, await books.coins()) == (0, 0, 0), "the coins are taken, the money waits"
    await books.reconciliation.resume()
    assert not (await books.world.ledger.orders.get(order.id)).withdrawals[name].done_at
    books.provider.down = False
    await books.reconciliation.round()
    books.world.clock[0] += 1
    await books.reconciliation.round()
    found = await books.world.ledger.orders.get(order.id)
    assert found.withdrawals[name].done_at and state(found) == State.REFUNDED
    assert await books.coins() == 0, "the refund that carries it out takes nothing once more"


async def paid_twice(books: Books, *, down: bool = False) -> Order:
    """A second payment, told of first, twice, though it was made later."""
    order = await books.begin()
    await books.pay(order)
    second = Effect("sandbox", "cs_2", Kind.PAID, books.world.clock[0] + 9, order.id, "sandbox:pi_2")
    await books.purchases.take([second, second])
    books.provider.down = down
    await books.reconciliation.round()
    return await books.world.ledger.orders.get(order.id)


async def test_a_payment_that_came_twice_goes_back_once_and_all_else_stays(books: Books) -> None:
    order = await paid_twice(books, down=True)
    assert (order.returns, books.provider.given_back) == ({}, []), "it waits for the provider"
    books.provider.down = False
    for _ in range(3):
        await books.reconciliation.round()
    order = await books.world.ledger.orders.get(order.id)
    assert (books.provider.given_back, books.reconciliation.overpaid.returned) == (["cs_2"], 1)
    assert order.returns["cs_2"].done_at and order.paid_by["cs_2"] == "sandbox:pi_2"
    said = Effect("sandbox", "re_2", Kind.REFUNDED, books.world.clock[0], order.id, amount=order.price, currency="EUR")
    await books.purchases.take([said])
    assert (await books.coins(), await books.state(order)) == (350, State.PAID), "that refund takes no coins"
    some = Effect("sandbox", "re_3", Kind.REFUNDED, books.world.clock[0], order.id, amount=order.price // 2)
    await books.purchases.take([some])
    assert (await books.coins(), await books.state(order)) == (176, State.PARTLY_REFUNDED), "one of what counts does"
    assert not await books.world.ledger.orders.due(2**53, 10)


async def test_who_dies_before_it_is_noted_asks_again_under_the_same_name(books: Books) -> None:
    order = await paid_twice(books)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(books.world.ledger.orders, "returned", _dies)
        books.world.clock[0] += 1
        second = Effect("sandbox", "cs_3", Kind.PAID, books.world.clock[0] + 99, order.id, "sandbox:pi_3")
        await books.purchases.take([second])
        with pytest.raises(RuntimeError):
            await books.reconciliation.round()
    books.world.clock[0] += 1000
    await books.reconciliation.round()
    assert books.provider.given_back == ["cs_2", "cs_3", "cs_3"]
    assert (await books.coins(), await books.state(order)) == (350, State.PAID)


async def _dies(*_: Any, **__: Any) -> None:
    raise RuntimeError


async def test_what_the_provider_does_not_give_back_is_said_once(books: Books, caplog: Any) -> None:
    books.provider.refuses = False
    order = await books.begin()
    books.provider.refuses = True
    await books.pay(order)
    second = Effect("sandbox", "cs_2", Kind.PAID, books.world.clock[0], order.id, "sandbox:pi_2")
    await books.purchases.take([second])
    for _ in range(3):
        await books.reconciliation.round()
    order = await books.world.ledger.orders.get(order.id)
    assert sum(one.failed_at > 0 for one in order.returns.values()) == books.reconciliation.overpaid.refused == 1
    assert "by hand" in caplog.text and await books.coins() == 350


async def test_a_refund_that_fails_later_gives_the_coins_back(books: Books) -> None:
    order = await books.begin()
    await books.pay(order, Fate.REFUND_FAILS)
    await books.reconciliation.round()
    order, name = await books.world.ledger.orders.get(order.id), books.world.key()
    await books.withdrawals.withdraw(order, name, (await books.withdrawals.offer(order, name)).token)
    await books.reconciliation.round()
    assert await books.coins() == 0
    books.world.clock[0] += 1000
    await books.reconciliation.round()
    assert await books.coins() == 350 and await books.state(order) == State.PAID


async def test_a_purchase_that_was_begun_is_told_whatever_speaks_against_it_by_now(books: Books) -> None:
    wanted = books.wanted()
    order = await books.begin(wanted)
    before = await dumps(books.world)
    again = [
        wanted._replace(standing=Standing(12, "KR", "business")),
        wanted._replace(region="FR"),
    ]
    assert [await books.begin(one) for one in again] == [order] * 2
    books.world.clock[0] -= 3_600_000  # the clock has stepped back
    assert await books.begin(wanted) == order
    with pytest.raises(errors.KeyInFuture):
        await books.begin(books.wanted(books.world.key(-3_600_000)))
    del books.providers["sandbox"]
    assert await books.begin(wanted) == order
    with pytest.raises(errors.UnknownProvider):
        await books.begin()
    with pytest.raises(errors.KeyReused):
        await books.begin(wanted._replace(package="coins-1400"))
    assert await dumps(books.world) == before


async def test_a_purchase_is_of_the_region_of_the_token(books: Books) -> None:
    before = await dumps(books.world)
    with pytest.raises(errors.RegionNotAllowed, match="DE"):
        await books.begin(books.wanted()._replace(region="FR"))
    assert await dumps(books.world) == before
    assert (await books.begin(books.wanted()._replace(region="DE"))).region == "EU"


class Forgetful(Flaky):
    """It refunds whenever it is asked, as one that has forgotten the key; and says how often."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.refunded: list[int] = []

    async def refund(self, order: Order, amount: int, withdrawal: str) -> None:
        self._reach()
        self.refunded.append(amount)


async def withdrawn(books: Books) -> tuple[Forgetful, Order, str]:
    """A withdrawal whose refund was asked for, by a process that died before it had noted that."""
    provider = books.provider = books.providers["sandbox"] = Forgetful(books.parts)
    order = await books.begin()
    await books.pay(order)
    await books.reconciliation.round()
    order, name = await books.world.ledger.orders.get(order.id), books.world.key()
    offer = await books.withdrawals.offer(order, name)
    order, made = await books.world.ledger.orders.withdraw(order.id, name, books.world.clock[0])
    assert made.amount == offer.amount
    await provider.refund(order, made.amount, name)
    return provider, order, name


@pytest.mark.parametrize("counts", [True, False])
async def test_a_refund_that_the_provider_has_told_of_is_not_asked_for_once_more(books: Books, counts: bool) -> None:
    provider, order, name = await withdrawn(books)
    refund = Effect(
        "sandbox", "re_1", Kind.REFUNDED, books.world.clock[0], order.id, amount=order.price, withdrawal=name
    )
    await books.purchases.take([refund] if counts else [refund, replace(refund, kind=Kind.REFUND_FAILED)])
    assert await books.coins() == (0 if counts else 350)
    await books.reconciliation.resume()
    order = await books.world.ledger.orders.get(order.id)
    for _ in range(2):
        await books.withdrawals.withdraw(order, name, "")
    assert provider.refunded == [order.price]
    assert await books.coins() == (0 if counts else 350)
    assert await books.state(order) == (State.REFUNDED if counts else State.PAID)


async def test_a_withdrawal_that_nobody_could_refund_takes_no_coins_and_one_that_was_taken_waits(books: Books) -> None:
    provider, order, name = await withdrawn(books)
    del books.providers["sandbox"]
    again, made = await books.withdrawals.withdraw(order, name, "")
    assert (again, made.done_at, made.failed_at) == (order, 0, 0)
    await books.reconciliation.resume()
    books.providers["sandbox"] = provider
    other = await books.begin()
    await books.pay(other)
    await books.reconciliation.round()
    other, key = await books.world.ledger.orders.get(other.id), books.world.key()
    offer = await books.withdrawals.offer(other, key)
    del books.providers["sandbox"]
    before = await dumps(books.world)
    with pytest.raises(errors.UnknownProvider):
        await books.withdrawals.withdraw(other, key, offer.token)
    assert await dumps(books.world) == before


async def test_a_withdrawal_whose_end_can_not_be_noted_is_told_as_on_its_way(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await books.begin()
    await books.pay(order)
    await books.reconciliation.round()
    order, name = await books.world.ledger.orders.get(order.id), books.world.key()
    offer = await books.withdrawals.offer(order, name)

    async def gone(*_: Any) -> Any:
        raise errors.LedgerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(books.world.ledger.orders, "withdrawn", gone)
        _, made = await books.withdrawals.withdraw(order, name, offer.token)
    assert (made.done_at, made.failed_at, await books.coins()) == (0, 0, 0)
    await books.reconciliation.round()
    assert (await books.world.ledger.orders.get(order.id)).withdrawals[name].done_at
