"""The machine of the books, with creators who change tier and are paid out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec.structs import replace

from gifting import errors
from gifting.ledger.payouts import Hold, Owned
from gifting.model.creators import Tier
from gifting.model.money import parse_key
from gifting.model.payouts import Fact, Kind, Payout, PayoutMismatch, payout_id
from tests.support.books_machine import HOSTS, TIERS
from tests.support.reference_creators import Asked
from tests.support.reversing_machine import ReversingMachine


def unopposed(owned: Owned) -> None:
    """Nothing speaks against a payout."""


class PayingMachine(ReversingMachine):
    """Payouts leave once, and come back once."""

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
