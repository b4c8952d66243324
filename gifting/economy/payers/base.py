"""What a payout provider must be able to do. What it says comes as facts, so it may say it twice and in any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gifting.errors import ProviderFailed
from gifting.model.creator import Destination
from gifting.model.payouts import Fact, Payout


class PayerRefused(ProviderFailed):
    """It will never send this, and has not: the money is with the platform."""

    temporary = False


class Payer(Protocol):
    """One way to pay out. Calls go over a network: each is bounded in time, and raises ProviderFailed where nobody
    knows what came of it.
    """

    @property
    def name(self) -> str:
        """As in settings and references."""

    def review(self, destination: Destination) -> str:
        """Why an operator must look at what goes there before it is sent, or ''."""

    async def send(self, payout: Payout) -> Sequence[Fact]:
        """Have the money sent, once per payout's id for as long as it is kept here, however often and by however many
        processes it is asked. Raises PayerRefused.
        """

    async def look(self, payout: Payout) -> Sequence[Fact]:
        """All that is known of a payout by now; nothing, if it was never sent."""

    async def close(self) -> None:
        """Let go of connections; nothing is asked after that."""
