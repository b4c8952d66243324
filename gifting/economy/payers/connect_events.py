"""Events of creators' accounts, as Stripe Connect tells them and the sandbox does: which of ours they are about."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gifting.economy.payers.base import News
from gifting.economy.providers.base import Reason, refused
from gifting.economy.providers.stripe_events import PAYOUT, Event, read
from gifting.model.ids import valid_id

CREATOR: Final = "gifting_creator"
"""That of an account's metadata, which names its creator: whoever makes the account sets it."""

PAYOUTS: Final = ("payout.created", "payout.updated", "payout.paid", "payout.failed", "payout.canceled")

SIGNIFICANT: Final = (*PAYOUTS, "account.updated")
"""The types of events that something may follow from; others are taken and left alone."""


class Object(Struct):
    """What is read of an account, or of a payout to its bank."""

    id: str
    metadata: dict[str, str] | None = None

    def says(self, field: str) -> str:
        """A field of the metadata; '' if it has none."""
        return (self.metadata or {}).get(field, "")


def news(event: Event, *, live: bool) -> list[News]:
    """What an event is about: one of ours or none. Raises BadWebhook: it is of another mode, or of no such account."""
    if event.livemode != live:
        raise refused(Reason.MODE, f"The event has livemode {event.livemode}, this server has {live}.")
    if not event.account:
        raise refused(Reason.FOREIGN, "The event is of no connected account.")
    if event.type not in SIGNIFICANT:
        return []
    seen = read(event.data.object, Object)
    if event.type in PAYOUTS:
        return [News(event.account, payout=ours)] if (ours := seen.says(PAYOUT)) else []
    if seen.id != event.account:
        raise refused(Reason.FOREIGN, f"The event of {event.account} is about {seen.id[:40]}.")
    creator = seen.says(CREATOR)
    return [News(event.account, creator=creator)] if valid_id(creator) else []
