"""What is read of Stripe's transfers and payouts, whether it is what was asked for, and what a no of Stripe means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec
from stripe import InvalidRequestError, PermissionError, StripeObject

from gifting.economy.payers.base import PayerRefused
from gifting.economy.providers.stripe_money import to_stripe
from gifting.errors import ProviderFailed
from gifting.model.payouts import Payout, PayoutMismatch

EMPTY: Final = "balance_insufficient"
"""Stripe's code where a balance has less than that."""

GONE: Final = "account_invalid"
"""That of an account which has left the platform."""

Read = TypeVar("Read", bound=msgspec.Struct)


class Transfer(msgspec.Struct):
    """What is read of one. ``created`` is in seconds."""

    id: str
    amount: int
    amount_reversed: int
    currency: str
    created: int
    reversed: bool
    destination: str | None = None


class Bank(msgspec.Struct):
    """What is read of a payout to a bank. ``created`` and ``arrival_date`` are in seconds."""

    id: str
    amount: int
    currency: str
    created: int
    status: str
    arrival_date: int = 0
    failure_code: str | None = None
    failure_message: str | None = None
    metadata: dict[str, str] | None = None

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "canceled")

    @property
    def why(self) -> str:
        return self.failure_message or self.failure_code or f"The payout to the bank is {self.status}."


Moved = TypeVar("Moved", Transfer, Bank)


def of(payout: Payout, made: Moved) -> Moved:
    """What was made for a payout. Raises PayoutMismatch where it is of other money, or for another account."""
    asked = (to_stripe(payout.amount, payout.currency), payout.currency)
    if (made.amount, made.currency.upper()) != asked:
        raise PayoutMismatch(f"{made.id} is of {made.amount} {made.currency}, and {asked} was asked for.")
    if isinstance(made, Transfer) and made.destination not in (None, payout.account):
        raise PayoutMismatch(f"{made.id} went to {made.destination}, and not to {payout.account}.")
    return made


def read_moved(found: StripeObject, kind: type[Read]) -> Read:
    try:
        return msgspec.convert(found.to_dict(for_json=True), kind)
    except msgspec.ValidationError as error:
        raise ProviderFailed(f"Stripe's answer can't be read: {str(error)[:200]}.") from None


@contextmanager
def refusable(but: str = "") -> Iterator[None]:
    """Within it a no that changes nothing is PayerRefused, unless its code is ``but``."""
    try:
        yield
    except InvalidRequestError as error:
        if error.code == but:
            raise
        raise PayerRefused(f"Stripe said no ({error.code or error.user_message or 'invalid request'}).") from None
    except PermissionError as error:
        if error.error is None or error.error.code != GONE:
            raise
        raise PayerRefused("The account has left the platform.") from None
