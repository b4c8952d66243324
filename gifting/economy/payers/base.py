"""What a payout provider must be able to do. What it says comes as facts, so it may say it twice and in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from gifting.errors import ProviderFailed
from gifting.model.creator import Destination, Kyc
from gifting.model.payouts import Fact, Payout


class PayerRefused(ProviderFailed):
    """It will never send this, and has not: the money is with the platform."""

    temporary = False


class News(NamedTuple):
    """Something happened, which a signed webhook says: what it is, the payer is then asked itself, so that neither
    the order nor the age of webhooks matters.

    Args:
        account: the creator's, with the payer.
        payout: the one of ours that it happened to; '' if it happened to the account.
        creator: whose account it is; '' if it happened to a payout.
    """

    account: str
    payout: str = ""
    creator: str = ""


class Payer(Protocol):
    """One way to pay out. Calls go over a network: each is bounded in time, and raises ProviderFailed where nobody
    knows what came of it.
    """

    @property
    def name(self) -> str:
        """As in settings and references."""

    def takes(self, account: str) -> bool:
        """Whether that can be an account here, by its name."""

    def step(self, currency: str) -> int:
        """Minor units of which it pays out whole multiples only."""

    def review(self, destination: Destination) -> str:
        """Why an operator must look at what goes there before it is sent, or ''."""

    async def send(self, payout: Payout) -> Sequence[Fact]:
        """Have the money sent, once per payout's id for as long as it is kept here, however often and by however many
        processes it is asked. Raises PayerRefused.
        """

    async def look(self, payout: Payout) -> Sequence[Fact]:
        """All that is known of a payout by now, after what was begun of it was carried on; nothing, if it was never
        sent.
        """

    async def identity(self, creator: str, to: Destination) -> Kyc | None:
        """How far it knows by now who has the account: ``none`` if that is not the creator's. None: it never says."""

    def signed(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether a webhook is signed by a secret of its own, whenever. Raises BadWebhook."""

    async def verify(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[News]:
        """What a webhook is about. ``headers`` are by lower-case name. Raises BadWebhook."""

    async def close(self) -> None:
        """Let go of connections; nothing is asked after that."""
