"""The machine of the books, with scripts that break off at any of their writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gifting import errors
from gifting.ledger.halt import open_books
from gifting.ledger.ledger import Ledger
from gifting.model.payouts import Fact, Kind, PayoutMismatch
from tests.support.books_machine import TIERS
from tests.support.cuts import cut
from tests.support.paying_machine import PayingMachine, unopposed


class BreakingMachine(PayingMachine):
    """What breaks off is forgotten, or done by whatever comes next of its owner."""

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
                cut(patch, at, self.call)
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
