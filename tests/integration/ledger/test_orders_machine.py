"""Whatever is said of orders, withdrawn and spent, in whatever order: two nodes do what the reference does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from gifting import config, errors
from gifting.ledger.account import Frozen
from gifting.ledger.audit import audit
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.effects import Effect, Kind
from gifting.model.lots import unspent
from gifting.model.money import make_key
from gifting.model.orders import Asked
from gifting.model.values import RoomRef
from tests.support.accounts import account_of
from tests.support.emptied import empty
from tests.support.orders import anyone, draft
from tests.support.reference_orders import Bought, Purse, Shop

T = TypeVar("T")

START = 1_700_000_000_000
USERS = ("ann", "bob")
SIZES = ((1000, 100, 20), (1, 1, 0), (99, 70, 3), (7, 1000, 50), (5000, 3, 1))
"""Price, paid and bonus coins."""


class OrdersMachine(RuleBasedStateMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.made = 0
        self.shop = Shop()
        self.said: list[Effect] = []
        self.run(empty(self.url))
        self.nodes, self.room = self.run(self.start())

    async def start(self) -> tuple[list[Ledger], RoomRef]:
        flags = {"partitions": 2, "like_interval": 0}
        nodes = [
            Ledger(self.url, config.load(flags, environ={}), load_catalog(), now=lambda: str(START)) for _ in range(2)
        ]
        for node in nodes:
            await node.start()
        return nodes, await nodes[0].rooms.open("r1", "host", "Host", "")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def key(self) -> str:
        self.made += 1
        return make_key(START, bytes(3) + self.made.to_bytes(7, "big"))

    @property
    def ledger(self) -> Ledger:
        """One node, then the other."""
        return self.nodes[self.made % 2]

    def teardown(self) -> None:
        try:
            report = self.run(audit(self.ledger.redis, self.ledger.keys))
            assert report.clean, report.lines()
            for node in self.nodes:
                self.run(node.stop())
        finally:
            self.runner.close()

    def an_order(self, data: st.DataObject) -> tuple[str, Bought]:
        name = data.draw(st.sampled_from(list(self.shop.orders)))
        return name, self.shop.orders[name]

    @rule(user=st.sampled_from(USERS), size=st.sampled_from(SIZES), paid=st.booleans())
    def begin(self, user: str, size: tuple[int, int, int], paid: bool) -> None:
        price, coins, bonus = size
        begun = draft(user, self.key(), price=price, coins=coins, bonus=bonus)
        self.run(self.ledger.orders.open(begun, anyone))
        self.shop.orders[begun.id] = Bought(user, price, coins, bonus)
        if paid:
            self.say(Effect("sandbox", f"pi {begun.id}", Kind.PAID, 1, begun.id, amount=price, currency="EUR"))

    @precondition(lambda self: self.shop.orders)
    @rule(data=st.data(), kind=st.sampled_from(list(Kind)), what=st.sampled_from(["a", "b"]), at=st.integers(1, 3))
    def something_is_said(self, data: st.DataObject, kind: Kind, what: str, at: int) -> None:
        name, order = self.an_order(data)
        amount = data.draw(st.sampled_from([0, 1, order.price // 3, order.price // 2, order.price]))
        withdrawal = data.draw(st.sampled_from(["", *order.withdrawn])) if kind.startswith("refund") else ""
        if kind == Kind.PAID:
            amount = 0
        self.say(Effect("sandbox", f"{what} {name}", kind, at, name, amount=amount, withdrawal=withdrawal))

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def something_is_said_again(self, data: st.DataObject) -> None:
        self.say(data.draw(st.sampled_from(self.said)))

    @precondition(lambda self: len(self.said) > 4)
    @rule(data=st.data())
    def much_is_said_again_at_once(self, data: st.DataObject) -> None:
        again = data.draw(st.permutations(self.said[-8:]))

        async def say() -> None:
            await asyncio.gather(*(self.nodes[at % 2].orders.apply(one) for at, one in enumerate(again)))

        self.run(say())

    def say(self, effect: Effect) -> None:
        self.said.append(effect)
        self.run(self.ledger.orders.apply(effect))
        self.shop.say(effect)

    @rule(user=st.sampled_from(USERS), coins=st.sampled_from([1, 7, 60, 500]))
    def grant(self, user: str, coins: int) -> None:
        granted = self.run(self.ledger.wallets.grant(user, coins, self.key(), "reason", "operator"))
        self.shop.purse(user).put_in(0, coins)
        assert granted.coins == self.shop.purse(user).coins

    @rule(user=st.sampled_from(USERS), coins=st.sampled_from([1, 5, 30, 100, 900]))
    def gift(self, user: str, coins: int) -> None:
        purse, frozen = self.shop.purse(user), self.shop.frozen(user)
        ledger = self.ledger
        sender = ledger.gifts.sender(user, {"id": user, "name": user})
        expected = "account_frozen" if frozen else "insufficient_coins" if purse.coins < coins else "ok"
        try:
            self.run(ledger.gifts.send(sender, self.room, "spark", self.key(), coins, None))
        except errors.GiftingError as error:
            assert error.code == expected
        else:
            assert expected == "ok"
            purse.spend(coins)

    @precondition(lambda self: self.shop.orders)
    @rule(data=st.data(), share=st.sampled_from([0, 1, 2, 3]))
    def an_operator_refunds(self, data: st.DataObject, share: int) -> None:
        name, order = self.an_order(data)
        key, amount = self.key(), order.price // share if share else 0
        expected = self.shop.refund(order, key, amount)
        asked = Asked("op", "a test", whole=not amount)
        try:
            self.run(self.ledger.refunds.ask(name, key, amount, asked, 5))
        except errors.NotReversible:
            assert not expected
        else:
            assert expected

    @precondition(lambda self: self.shop.orders)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        name, order = self.an_order(data)
        key = data.draw(
            st.sampled_from([self.key(), *(name for name, one in order.withdrawn.items() if not one.asked)])
        )
        expected = self.shop.withdraw(order, key) if order.payments else None
        try:
            _, taken = self.run(self.ledger.orders.withdraw(name, key, 5))
        except errors.NotWithdrawable:
            assert expected is None
        else:
            assert expected is not None
            assert (taken.coins, taken.bonus, taken.amount) == (expected.coins, expected.bonus, expected.amount)

    @precondition(lambda self: any(order.withdrawn for order in self.shop.orders.values()))
    @rule(data=st.data(), ended=st.sampled_from(["done", "failed"]))
    def a_withdrawal_ends(self, data: st.DataObject, ended: str) -> None:
        with_some = [name for name, order in self.shop.orders.items() if order.withdrawn]
        name = data.draw(st.sampled_from(with_some))
        withdrawal = data.draw(st.sampled_from(list(self.shop.orders[name].withdrawn)))
        orders = self.ledger.orders
        end = orders.withdrawn if ended == "done" else orders.withdrawal_failed
        self.run(end(name, withdrawal, START + 1))
        self.shop.end_withdrawal(self.shop.orders[name], withdrawal, ended)

    @invariant()
    def they_agree(self) -> None:
        self.run(self.compare())

    async def compare(self) -> None:
        ledger, shop = self.ledger, self.shop
        for user in USERS:
            found = await account_of(ledger.redis, ledger.keys.base(user), user)
            known = Purse(found.coins, found.bonus, found.debt, found.purchased, found.sent)
            assert (known, found.frozen) == (shop.purse(user), Frozen(shop.frozen(user)))
            held = await ledger.orders.held(user)
            for name, order in held.orders.items():
                bought = shop.orders[name]
                assert (tuple(order.taken), order.returned or 0) == (bought.out, bought.returned)
                assert unspent(order, held.paid, held.orders.values()) == shop.left(bought)


@pytest.mark.timeout(400)
def test_two_nodes_do_what_the_reference_does(redis_url: str) -> None:
    class Machine(OrdersMachine):
        url = redis_url

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Machine, settings=how)
