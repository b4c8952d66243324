"""When a payout came to where it stands, and where it stood at a time. All times are ms since 1970."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gifting.model.payouts import Payout, State, state

_TIMES: Final = ("decided_at", "sending_at", "sent_at", "paid_at", "failed_at", "returned_at", "stuck_at")


def as_of(payout: Payout, until: int) -> Payout:
    """A payout as it was before a time: of what is known since, nothing."""
    before = {name: at if (at := getattr(payout, name)) < until else 0 for name in _TIMES}
    return replace(payout, **before, rejected=payout.rejected and before["decided_at"] > 0)


def since(payout: Payout) -> int:
    """When it came to where it stands."""
    match state(payout):
        case State.REQUESTED | State.REVIEW:
            return payout.decided_at or payout.created
        case State.PROCESSING:
            return payout.sent_at or payout.sending_at
        case State.PAID:
            return payout.paid_at
        case State.FAILED | State.RETURNED:
            return payout.returned_at or payout.failed_at or payout.decided_at
