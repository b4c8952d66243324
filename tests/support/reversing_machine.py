"""The machine of the books, with gifts that are reversed, debt that is settled, and cases."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gifting import errors
from gifting.economy.reversals import Reversals
from gifting.economy.support import Support
from gifting.model.cases import Case, Decision, case_id
from gifting.model.money import make_key, parse_key
from gifting.model.reversals import Given, Reversal
from tests.support.books_machine import HOSTS, BooksMachine


class ReversingMachine(BooksMachine):
    """Each side of a reversal is done once."""

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


class KnownGifts(Reversals):
    """Those of a machine, whose ledger is of another time than its stream's ids are."""

    def __init__(self, machine: BooksMachine) -> None:
        async def tell(user: str) -> None:
            pass

        super().__init__(machine.ledger, tell)
        self._machine = machine

    async def find(self, user: str, key: bytes) -> Given:
        return self._machine.given[key]
