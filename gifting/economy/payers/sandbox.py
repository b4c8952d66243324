"""Play money: what becomes of a payout is told by how its account begins. It keeps what it was asked to send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gifting.economy.payers.base import PayerRefused
from gifting.ledger.ledger import Ledger
from gifting.model.creator import Destination
from gifting.model.payouts import DAY_MS, Fact, Kind, Payout

REVIEW: Final = "review"
"""An operator must look first; then it is paid."""

REFUSED: Final = "refused"
"""It is not taken."""

FAILED: Final = "failed"
"""It is taken, and fails at once."""

RETURNED: Final = "returned"
"""It is paid, and the bank returns it a day later."""


class Sandbox:
    """``review…``, ``refused…``, ``failed…`` and ``returned…`` as their constants say; any other account is paid."""

    name: Final = "sandbox"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def review(self, destination: Destination) -> str:
        return "the sandbox asks for it" if destination.account.startswith(REVIEW) else ""

    async def send(self, payout: Payout) -> Sequence[Fact]:
        if payout.account.startswith(REFUSED):
            raise PayerRefused("The sandbox does not take this account.")
        now = self._ledger.creators.now_ms()
        return self._facts(payout, await self._ledger.sandbox.pay(payout.id, now), now)

    async def look(self, payout: Payout) -> Sequence[Fact]:
        sent = await self._ledger.sandbox.paid(payout.id)
        return self._facts(payout, sent, self._ledger.creators.now_ms()) if sent else ()

    def _facts(self, payout: Payout, sent: int, now: int) -> list[Fact]:
        def fact(kind: Kind, at: int, reason: str = "") -> Fact:
            reference = f"{self.name}:po_{payout.id}"
            return Fact(self.name, kind, at, payout.id, reference, payout.amount, payout.currency, reason)

        facts = [fact(Kind.SENT, sent)]
        if payout.account.startswith(FAILED):
            return [*facts, fact(Kind.FAILED, sent, "the account is closed")]
        facts.append(fact(Kind.PAID, sent))
        if payout.account.startswith(RETURNED) and now >= sent + DAY_MS:
            facts.append(fact(Kind.RETURNED, sent + DAY_MS, "the bank knows nobody of this name"))
        return facts

    async def close(self) -> None:
        """It has no connections of its own."""
