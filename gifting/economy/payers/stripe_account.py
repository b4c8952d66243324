"""A creator's account with Stripe Connect, as Stripe tells it: who has it, and whether it can be paid. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from gifting.economy.payers.connect_events import CREATOR
from gifting.model.creator import Kyc


class Requirements(Struct):
    """``disabled_reason``: why it can't be paid; what is asked of the creator is in the lists."""

    disabled_reason: str | None = None
    past_due: list[str] = []
    currently_due: list[str] = []


class Schedule(Struct):
    interval: str = ""


class Payouts(Struct):
    schedule: Schedule = field(default_factory=Schedule)


class Settings(Struct):
    payouts: Payouts = field(default_factory=Payouts)


class Account(Struct):
    """What is read of an account."""

    id: str
    metadata: dict[str, str] | None = None
    details_submitted: bool = False
    payouts_enabled: bool = False
    capabilities: dict[str, str] = {}
    requirements: Requirements | None = None
    settings: Settings | None = None

    def is_of(self, creator: str) -> bool:
        """Whether who made it says that it is the creator's."""
        return (self.metadata or {}).get(CREATOR) == creator

    @property
    def receives(self) -> bool:
        """Whether money can be transferred to it, and from it to a bank."""
        return self.payouts_enabled and self.capabilities.get("transfers") == "active"

    @property
    def why_not(self) -> str:
        """Stripe's word for why it can't be paid, or ''."""
        return (self.requirements.disabled_reason if self.requirements else None) or ""

    @property
    def by_hand(self) -> bool:
        """Whether Stripe leaves it to us when what is there goes to the bank."""
        return self.settings is not None and self.settings.payouts.schedule.interval == MANUAL


MANUAL: Final = "manual"


def kyc_of(account: Account, creator: str) -> Kyc:
    """How far Stripe knows the creator: as far as it lets money go to the account."""
    if not account.is_of(creator):
        return "none"
    if account.why_not.startswith("rejected."):
        return "rejected"
    if account.receives:
        return "verified"
    return "pending" if account.details_submitted else "none"


def refusal(account: Account, creator: str) -> str:
    """Why nothing is sent there, or ''."""
    if not account.is_of(creator):
        return f"The account does not say in {CREATOR} that it is the creator's."
    if not account.receives:
        asked = account.requirements.past_due or account.requirements.currently_due if account.requirements else []
        return f"Stripe pays nothing to the account: {account.why_not or ', '.join(asked[:3]) or 'not enabled'}."
    return "" if account.by_hand else "The account's own payouts are not manual."
