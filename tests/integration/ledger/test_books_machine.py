"""Bought, given, reversed, paid out, in whatever order, twice, and broken off: two nodes do what the reference does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from fractions import Fraction
from typing import Any, TypeVar

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from gifting import config, errors
from gifting.economy.reversals import Reversals
from gifting.economy.support import Support
from gifting.ledger.audit import audit
from gifting.ledger.halt import open_books
from gifting.ledger.ledger import Ledger
from gifting.ledger.payouts import Hold, Owned
from gifting.model.cases import Case, Decision, case_id
from gifting.model.catalog import load_catalog
from gifting.model.creators import Tier
from gifting.model.effects import Effect
from gifting.model.effects import Kind as Said
from gifting.model.money import make_key, parse_key
from gifting.model.payouts import Fact, Kind, Payout, PayoutMismatch, payout_id, state
from gifting.model.reversals import Given, Reversal
from gifting.model.values import RoomRef
from tests.support.accounts import account_of
from tests.support.cuts import cut
from tests.support.orders import anyone, draft
from tests.support.reference_books import Books
from tests.support.reference_creators import Asked, Terms
from tests.support.reference_orders import Bought

T = TypeVar("T")

DAY, YEAR = 86_400_000, 365 * 86_400_000
MIDNIGHT = 1_704_067_200_000
"""The year 2024 begins."""
USERS, HOSTS = ("ann", "bob"), ("hana", "ivy")
SIZES = ((1000, 100, 20), (700, 70, 0), (99, 7, 300))
"""Price, paid and bonus coins."""
PASSES = (0, 1, 3_600_000, DAY - 1, DAY, DAY + 1, 31 * DAY, 121 * DAY, YEAR, 401 * DAY, -1, -DAY, -3 * DAY)
TIERS = (
    Tier(id="free", hold_days=0),
    Tier(id="short", commission=3_333, hold_days=1, reserve_bps=1_001, reserve_days=3),
    Tier(id="usual", commission=5_000, hold_days=120, reserve_bps=500, reserve_days=180),
    Tier(id="longest", hold_days=400),
)
RATE = "1/7"
FACTS = (Said.REFUNDED, Said.REFUND_FAILED, Said.DISPUTED, Said.DISPUTE_WON, Said.DISPUTE_LOST)


def unopposed(owned: Owned) -> None:
    """Nothing speaks against a payout."""


class BooksMachine(RuleBasedStateMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = MIDNIGHT - 1
        self.made = 0
        self.books = Books(1000 * Fraction(RATE))
        self.tiers = dict.fromkeys(HOSTS, TIERS[0])
        self.given: dict[bytes, Given] = {}
        self.drafts: dict[str, Payout] = {}
        self.cases: dict[str, Case] = {}
        self.borne_by = "creator"
        self.audited = True
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
        self.nodes = [self.run(self.node()) for _ in range(2)]
        self.rooms = {host: self.open_room(host) for host in HOSTS}

    async def node(self) -> Ledger:
        flags = {"partitions": 3, "like_interval": 0, "diamonds_per_coin": RATE, "reversal_loss": self.borne_by}
        node = Ledger(self.url, config.load(flags, environ={}), load_catalog(), now=lambda: str(self.clock))
        await node.start()
        node.creators.now_ms = lambda: self.clock
        return node

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def key(self) -> str:
        self.made += 1
        return make_key(self.clock, bytes(3) + self.made.to_bytes(7, "big"))

    def open_room(self, host: str) -> RoomRef:
        self.made += 1
        return self.run(self.ledger.rooms.open(f"r{self.made}", host, host, ""))

    @property
    def ledger(self) -> Ledger:
        """One node, then the other."""
        return self.nodes[self.made % 2]

    @property
    def today(self) -> int:
        return self.clock // DAY

    def teardown(self) -> None:
        try:
            self.run(self.audit())
        finally:
            for node in self.nodes:
                self.run(node.stop())
            self.runner.close()

    async def audit(self) -> None:
        report = await audit(self.ledger.redis, self.ledger.keys)
        assert {problem.name for problem in report.problems} <= self.excused(), report.lines()

    def excused(self) -> set[str]:
        """What breaks off between a room's state and its log leaves a gap there, as with every script."""
        return set() if self.audited else {"room_seq_gap"}

    # What happens.

    @rule(by=st.sampled_from(PASSES))
    def time_passes(self, by: int) -> None:
        self.clock += by

    @rule(before=st.sampled_from([0, 1]), days=st.sampled_from([1, 1, 7]))
    def midnight_is_near(self, before: int, days: int) -> None:
        self.clock = (self.today + days) * DAY - before

    @rule(borne_by=st.sampled_from(["creator", "creator", "platform"]))
    def nodes_are_started_again(self, borne_by: str) -> None:
        self.borne_by = borne_by
        self.run(self.start_again())

    async def start_again(self) -> None:
        await open_books(self.ledger.redis, self.ledger.keys.meta)
        for node in self.nodes:
            await node.stop()
        self.nodes = [await self.node() for _ in range(2)]

    @rule(user=st.sampled_from(USERS), coins=st.sampled_from([1, 60, 500]))
    def grant(self, user: str, coins: int) -> None:
        granted = self.run(self.ledger.wallets.grant(user, coins, self.key(), "reason", "operator"))
        assert granted.coins == self.books.grant(user, coins)

    @rule(user=st.sampled_from(USERS), size=st.sampled_from(SIZES))
    def buy(self, user: str, size: tuple[int, int, int]) -> None:
        price, coins, bonus = size
        begun = draft(user, self.key(), price=price, coins=coins, bonus=bonus)
        self.run(self.ledger.orders.open(begun, anyone))
        self.books.shop.orders[begun.id] = Bought(user, price, coins, bonus)
        self.provider_says(Effect("sandbox", f"pi {begun.id}", Said.PAID, 1, begun.id, amount=price, currency="EUR"))

    @precondition(lambda self: self.books.shop.orders)
    @rule(data=st.data(), kind=st.sampled_from(FACTS), at=st.integers(1, 3), part=st.sampled_from([1, 2, 3]))
    def money_goes_back(self, data: st.DataObject, kind: Said, at: int, part: int) -> None:
        name = data.draw(st.sampled_from(list(self.books.shop.orders)))
        amount = self.books.shop.orders[name].price // part
        self.provider_says(Effect("sandbox", f"{kind[:4]} {name}", kind, at, name, amount=amount))

    def provider_says(self, effect: Effect) -> None:
        self.run(self.ledger.orders.apply(effect))
        self.books.shop.say(effect)

    @rule(user=st.sampled_from(USERS), host=st.sampled_from(HOSTS), coins=st.sampled_from([1, 7, 60, 119]))
    def a_gift(self, user: str, host: str, coins: int) -> None:
        self.gift(user, host, coins)

    def gift(self, user: str, host: str, coins: int) -> None:
        key, room = self.key(), self.rooms[host]
        sender = self.ledger.gifts.sender(user, {"id": user, "name": user})
        expected = self.books.gift(parse_key(key), user, host, coins, self.today)
        try:
            sent = self.run(self.ledger.gifts.send(sender, room, "spark", key, coins, None))
        except errors.GiftingError as error:
            assert error.code == expected
        else:
            assert expected == "ok"
            told = self.books.gifts[parse_key(key)]
            given = Given(
                parse_key(key), user, room.id, host, sent.seq, "spark", coins, coins, told.diamonds, self.clock
            )
            self.given[given.key] = given

    @rule(host=st.sampled_from(HOSTS))
    def a_room_ends(self, host: str) -> None:
        self.run(self.ledger.rooms.end(self.rooms[host]))
        self.rooms[host] = self.open_room(host)

    # Reversals.

    @precondition(lambda self: self.given)
    @rule(data=st.data(), half=st.booleans())
    def a_gift_is_reversed(self, data: st.DataObject, half: bool) -> None:
        self.reverse(data, half)

    def reverse(self, data: st.DataObject, half: bool) -> None:
        key = data.draw(st.sampled_from(list(self.given)))
        one = self.give_back(key)
        if not half:
            self.take_from_host(one)

    def give_back(self, key: bytes) -> Reversal:
        one = self.run(self.ledger.reversals.give_back(self.given[key], "op", "why", "", self.clock))
        assert (one.returned.paid, one.returned.bonus, one.returned.settled) == self.books.give_back(key)
        return one

    def take_from_host(self, one: Reversal) -> None:
        done = self.run(self.ledger.reversals.take_from_host(one, self.clock))
        bears = self.borne_by == "platform"
        expected = self.books.take_from_host(one.given.key, self.today, platform_bears=bears)
        assert (done.taken.diamonds, done.taken.debt, done.taken.borne) == expected

    @rule()
    def what_is_half_done_is_finished(self) -> None:
        for one in self.run(self.ledger.reversals.due(2**53, 100)):
            assert self.books.gifts[one.given.key].taken is None
            self.take_from_host(one)
        assert not self.run(self.ledger.reversals.due(2**53, 100))

    @rule(host=st.sampled_from(HOSTS))
    def debt_is_settled(self, host: str) -> None:
        self.settle(host)

    def settle(self, host: str) -> None:
        assert self.run(self.ledger.reversals.settle(host, self.clock)) == self.books.office.earner(host).settle()

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def ask_support(self, data: st.DataObject) -> None:
        gift, user_key = data.draw(st.sampled_from(list(self.given.values()))), self.key()
        asked = make_key(gift.at, gift.key[6:])
        opened = Case(
            id=case_id(gift.user, parse_key(user_key)), user=gift.user, kind="unauthorised", at=self.clock, gift=asked
        )
        try:
            self.cases[opened.id] = self.run(self.ledger.cases.open(opened))
        except errors.TooManyCases:
            assert len(self.cases) >= 10

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), outcome=st.sampled_from(["reversed", "reversed", "refused"]), by=st.sampled_from(["o", "p"]))
    def operators_decide(self, data: st.DataObject, outcome: Any, by: str) -> None:
        case = data.draw(st.sampled_from(list(self.cases.values())))
        key, bears = parse_key(case.gift), self.borne_by == "platform"
        support = Support(self.ledger, KnownGifts(self))
        expected = self.books.resolve(case.id, outcome)
        try:
            self.run(support.resolve(case.id, Decision(outcome, "why", by, self.clock)))
        except errors.CaseClosed:
            assert not expected
        else:
            assert expected
            if outcome == "reversed":
                self.books.give_back(key)
                self.books.take_from_host(key, self.today, platform_bears=bears)

    # Payouts.

    @rule(host=st.sampled_from(HOSTS), tier=st.sampled_from(TIERS))
    def a_creator_changes_tier(self, host: str, tier: Tier) -> None:
        self.another_tier(host, tier)

    def another_tier(self, host: str, tier: Tier) -> None:
        change = self.ledger.creators.change
        put = change(
            host, lambda record: replace(record, tier=tier.id), what="tier", value=tier.id, by="op",
            commission=tier.commission,
        )  # fmt: skip
        self.run(put)
        self.tiers[host] = tier
        self.books.office.earner(host).kept_back = Fraction(tier.commission, 10_000)

    @rule(data=st.data(), host=st.sampled_from(HOSTS), review=st.booleans())
    def a_payout_is_asked_for(self, data: st.DataObject, host: str, review: bool) -> None:
        self.ask_for_a_payout(data, host, review)

    def ask_for_a_payout(self, data: st.DataObject, host: str, review: bool) -> None:
        there = self.books.office.earner(host).parts(self.terms(host), self.today).available
        diamonds = data.draw(st.sampled_from(sorted({max(there, 1), there // 2 or 1, there + 1})))
        name = payout_id(host, parse_key(self.key()))
        what: dict[str, Any] = {"provider": "sandbox", "account": "acct", "amount": diamonds, "currency": "USD"}
        self.drafts[name] = Payout(
            id=name, host=host, digest=b"8 bytes!", diamonds=diamonds, created=self.clock,
            review="amount" if review else "", **what,
        )  # fmt: skip
        self.request(name)

    @precondition(lambda self: self.drafts)
    @rule(data=st.data())
    def ask_for_it_again(self, data: st.DataObject) -> None:
        self.request(data.draw(st.sampled_from(list(self.drafts))))

    def terms(self, host: str) -> Terms:
        tier = self.tiers[host]
        return Terms(tier.hold_days, tier.reserve_days, Fraction(tier.reserve_bps, 10_000))

    def request(self, name: str) -> None:
        wanted = self.drafts[name]
        expected = self.books.office.request(name, self.asked(wanted), self.terms(wanted.host), self.today)
        try:
            self.run(self.ledger.payouts.request(wanted, self.hold(wanted.host), unopposed))
        except errors.NotEnoughDiamonds:
            assert not expected
        else:
            assert expected

    def asked(self, wanted: Payout) -> Asked:
        return Asked(wanted.host, wanted.diamonds, bool(wanted.review))

    def hold(self, host: str) -> Hold:
        tier = self.tiers[host]
        return Hold(tier.hold_days, tier.reserve_days, tier.reserve_bps)

    def a_payout(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(list(self.books.office.payouts)))

    @precondition(lambda self: self.books.office.payouts)
    @rule(data=st.data(), how=st.sampled_from(["approved", "approved", "rejected"]))
    def an_operator_decides(self, data: st.DataObject, how: str) -> None:
        name = self.a_payout(data)
        expected = self.books.office.decide(name, how)
        try:
            self.run(self.ledger.payouts.decide(name, self.clock, "op", rejected=how == "rejected"))
        except errors.PayoutDecided:
            assert not expected
        else:
            assert expected

    @precondition(lambda self: self.books.office.payouts)
    @rule(data=st.data())
    def it_is_sent(self, data: st.DataObject) -> None:
        name = self.a_payout(data)
        self.run(self.ledger.payouts.sending(name, self.clock))
        self.books.office.send(name)

    @precondition(lambda self: self.books.office.payouts)
    @rule(data=st.data(), kinds=st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=3), at=st.integers(1, 3))
    def its_provider_says(self, data: st.DataObject, kinds: list[Kind], at: int) -> None:
        name = self.a_payout(data)
        for kind in kinds:
            self.told(Fact("sandbox", kind, at, name))

    def told(self, fact: Fact) -> None:
        expected = self.books.office.say(fact.payout, fact.kind)
        try:
            self.run(self.ledger.payouts.apply(fact))
        except PayoutMismatch:
            assert not expected
        else:
            assert expected

    # What breaks off.

    @precondition(lambda self: self.given)
    @rule(data=st.data(), at=st.integers(1, 12))
    def a_sender_s_side_breaks_off(self, data: st.DataObject, at: int) -> None:
        key = data.draw(st.sampled_from(list(self.given)))
        gift = self.given[key]
        self.break_off(at, gift.user, lambda node: node.reversals.give_back(gift, "op", "why", "", self.clock))
        self.give_back(key)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), at=st.integers(1, 12))
    def a_host_s_side_breaks_off(self, data: st.DataObject, at: int) -> None:
        one = self.give_back(data.draw(st.sampled_from(list(self.given))))
        self.audited = False
        if self.break_off(at, one.given.host, lambda node: node.reversals.take_from_host(one, self.clock)):
            bears = self.borne_by == "platform"
            self.books.take_from_host(one.given.key, self.today, platform_bears=bears)
        self.meanwhile(data, one.given.host)
        self.take_from_host(one)

    @precondition(lambda self: self.drafts)
    @rule(data=st.data(), at=st.integers(1, 10))
    def a_payout_breaks_off(self, data: st.DataObject, at: int) -> None:
        wanted = self.drafts[data.draw(st.sampled_from(list(self.drafts)))]
        hold = self.hold(wanted.host)
        if self.break_off(at, wanted.host, lambda node: node.payouts.request(wanted, hold, unopposed)):
            assert self.books.office.request(wanted.id, self.asked(wanted), self.terms(wanted.host), self.today)
        self.meanwhile(data, wanted.host)
        self.request(wanted.id)

    @precondition(lambda self: self.books.office.payouts)
    @rule(data=st.data(), at=st.integers(1, 10), kind=st.sampled_from(list(Kind)))
    def a_fact_breaks_off(self, data: st.DataObject, at: int, kind: Kind) -> None:
        name = self.a_payout(data)
        host, fact = self.drafts[name].host, Fact("sandbox", kind, 1, name)
        if self.break_off(at, host, lambda node: node.payouts.apply(fact)):
            assert self.books.office.say(name, kind)
        self.meanwhile(data, host)
        self.told(fact)

    def break_off(self, at: int, owner: str, work: Callable[[Ledger], Awaitable[Any]]) -> bool:
        """At a write, on a node of its own; then the books are opened again. Whether the ledger has it."""
        return self.run(self.broken_off(at, f"{self.ledger.keys.base(owner)}:ledger", work))

    async def broken_off(self, at: int, stream: str, work: Callable[[Ledger], Awaitable[Any]]) -> bool:
        before = await self.ledger.redis.xlen(stream)
        node = await self.node()
        try:
            with pytest.MonkeyPatch.context() as patch, suppress(errors.GiftingError, PayoutMismatch):
                cut(patch, at)
                await work(node)
        finally:
            await node.halt.end()
            await node.stop()
        if await open_books(self.ledger.redis, self.ledger.keys.meta):
            await self.start_again()
        return bool(await self.ledger.redis.xlen(stream) > before)

    def meanwhile(self, data: st.DataObject, host: str) -> None:
        """Something else of the creator, before what broke off is asked for again."""
        match data.draw(st.sampled_from(["", "settle", "payout", "tier", "reverse", "gift"])):
            case "settle":
                self.settle(host)
            case "payout":
                self.ask_for_a_payout(data, host, False)
            case "tier":
                self.another_tier(host, data.draw(st.sampled_from(TIERS)))
            case "gift":
                self.gift("ann", host, 7)
            case "reverse" if self.given:
                self.reverse(data, False)

    # What must be the same.

    @invariant()
    def they_agree(self) -> None:
        self.run(self.compare())

    async def compare(self) -> None:
        assert self.books.office.add_up()
        assert self.books.coins_add_up
        for user in USERS:
            found, purse = (
                await account_of(self.ledger.redis, self.ledger.keys.base(user), user),
                self.books.shop.purse(user),
            )
            kept = (found.coins, found.bonus, found.debt, found.purchased, found.sent, int(found.frozen))
            told = (purse.coins, purse.bonus, purse.debt, purse.purchased, purse.sent, self.books.shop.frozen(user))
            assert kept == told
        for host in HOSTS:
            await self.compare_host(host)

    async def compare_host(self, host: str) -> None:
        found, earner = await self.ledger.creators.read(host), self.books.office.earner(host)
        assert (found.balance, found.debt) == (earner.balance, earner.debt)
        fields = await self.ledger.redis.hgetall(f"{self.ledger.keys.base(host)}:diamonds")
        days = {name.partition(b"/")[2]: int(n) for name, n in fields.items() if name.startswith(f"{host}/".encode())}
        assert {int(day): n for day, n in days.items() if day.isdigit() and n} == {
            day: n for day, n in earner.days.items() if n
        }
        split = found.split(self.tiers[host])
        assert (split.pending, split.reserved, split.available) == earner.parts(self.terms(host), self.today)
        owned = await self.ledger.payouts.owned(host)
        expected = {name: one for name, one in self.books.office.payouts.items() if one.host == host}
        assert {name: (state(one), one.back) for name, one in owned.payouts.items()} == {
            name: (one.state, one.back) for name, one in expected.items()
        }


class KnownGifts(Reversals):
    """Those of a machine, whose ledger is of another time than its stream's ids are."""

    def __init__(self, machine: BooksMachine) -> None:
        async def tell(user: str) -> None:
            pass

        super().__init__(machine.ledger, tell)
        self._machine = machine

    async def find(self, user: str, key: bytes) -> Given:
        return self._machine.given[key]


def drive(url_of: str, examples: int, steps: int) -> None:
    class Machine(BooksMachine):
        url = url_of

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Machine, settings=how)


@pytest.mark.timeout(400)
def test_two_nodes_do_what_the_reference_does(redis_url: str) -> None:
    drive(redis_url, 25, 30)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_they_do_it_for_long(redis_url: str) -> None:
    drive(redis_url, 300, 60)
