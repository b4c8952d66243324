"""Play money: what becomes of a payout, and who a creator is, is told by how the account begins. It keeps what it was
asked to send, and tells of it by webhooks, as Stripe would of a connected account.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from gifting.economy.payers.base import News, PayerRefused
from gifting.economy.payers.connect_events import news
from gifting.economy.providers import signature
from gifting.economy.providers.registry import PLAY, Parts
from gifting.economy.providers.stripe_events import read_event
from gifting.errors import BadWebhook
from gifting.ledger.ledger import Ledger
from gifting.ledger.sandbox import CREATOR
from gifting.model.creator import Destination, Kyc
from gifting.model.payouts import DAY_MS, Fact, Kind, Payout

REVIEW: Final = "review"
"""An operator must look first; then it is paid."""

REFUSED: Final = "refused"
"""It is not taken."""

FAILED: Final = "failed"
"""It is taken, and fails at once."""

RETURNED: Final = "returned"
"""It is paid, and the bank returns it a day later."""

LATER: Final = "later"
"""It is taken, and paid ``sandbox_delay`` later."""

VERIFIED: Final = "verified"
"""Its creator is verified, and it is paid."""

PENDING: Final = "pending"
"""Its creator is verified ``sandbox_delay`` after it was made the destination, and it is paid."""

REJECTED: Final = "rejected"
"""Its creator is rejected."""


class Sandbox:
    """Any account that begins otherwise than these is paid, and the operator says who has it. ``secrets`` gives those
    of the server, and ``delay`` is in ms.
    """

    name: Final = PLAY

    def __init__(self, ledger: Ledger, secrets: Callable[[], Sequence[str]] = list, delay: int = 0) -> None:
        self._ledger = ledger
        self._secrets = secrets
        self._delay = delay
        self.now = ledger.creators.now_ms

    @property
    def secrets(self) -> list[str]:
        """Of webhooks, made from those of the server: the first signs."""
        return [hmac.new(one.encode(), b"gifting sandbox payouts", sha256).hexdigest() for one in self._secrets()]

    def takes(self, account: str) -> bool:
        return True

    def step(self, currency: str) -> int:
        return 1

    def review(self, destination: Destination) -> str:
        return "the sandbox asks for it" if destination.account.startswith(REVIEW) else ""

    async def send(self, payout: Payout) -> Sequence[Fact]:
        if payout.account.startswith(REFUSED):
            raise PayerRefused("The sandbox does not take this account.")
        now = self.now()
        return self._facts(payout, await self._ledger.sandbox.pay(payout.id, now), now)

    async def look(self, payout: Payout) -> Sequence[Fact]:
        sent = await self._ledger.sandbox.paid(payout.id)
        return self._facts(payout, sent, self.now()) if sent else ()

    def _facts(self, payout: Payout, sent: int, now: int) -> list[Fact]:
        return [fact for fact in self.history(payout, sent) if fact.at <= now]

    def history(self, payout: Payout, sent: int) -> list[Fact]:
        """All that happens to a payout that was sent then, also what is still to come, by time."""

        def fact(kind: Kind, at: int, reason: str = "") -> Fact:
            reference = f"{self.name}:po_{payout.id}"
            return Fact(self.name, kind, at, payout.id, reference, payout.amount, payout.currency, reason)

        facts = [fact(Kind.SENT, sent)]
        if payout.account.startswith(FAILED):
            return [*facts, fact(Kind.FAILED, sent, "the account is closed")]
        facts.append(fact(Kind.PAID, sent + self._delay * payout.account.startswith(LATER)))
        if payout.account.startswith(RETURNED):
            facts.append(fact(Kind.RETURNED, sent + DAY_MS, "the bank knows nobody of this name"))
        return facts

    async def identity(self, creator: str, to: Destination) -> Kyc | None:
        if to.account.startswith(PENDING):
            if self.now() >= self.known(to):
                return "verified"
            await self._ledger.sandbox.tell(f"{CREATOR}{creator}", self.known(to))
            return "pending"
        if to.account.startswith(REJECTED):
            return "rejected"
        return "verified" if to.account.startswith(VERIFIED) else None

    def known(self, to: Destination) -> int:
        """When (ms) it is known who has an account that is pending."""
        return to.since + self._delay

    def signed(self, body: bytes, headers: Mapping[str, str]) -> bool:
        at = signature.signed_at(signature.read_header(headers))
        try:
            signature.verify(body, headers, self.secrets, int(at) * 1000)
        except BadWebhook:
            return False
        return True

    async def verify(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[News]:
        signature.verify(body, headers, self.secrets, now_ms)
        return news(read_event(body), live=False)

    async def close(self) -> None:
        """It has no connections of its own."""


def make(parts: Parts) -> Sandbox:
    return Sandbox(parts.ledger, parts.secrets, round(parts.settings.sandbox_delay * 1000))
