"""The second factor: what is asked before money leaves, by what a token says of how its user signed in."""

from __future__ import annotations

from typing import Final

from gifting.errors import SecondFactorRequired
from gifting.wire.tokens import Identity

FRESH: Final = 600.0
"""Seconds for which a second factor counts."""


def check_second_factor(identity: Identity, *, now: float, leeway: float) -> None:
    """Clocks may differ by ``leeway`` seconds where it begins to count; where that ends, it ends.

    Raises:
        SecondFactorRequired: none was shown, or not within :data:`FRESH`, or one is claimed for a time to come.
    """
    if not identity.mfa_at:
        raise SecondFactorRequired("This token tells of no second factor.")
    if identity.mfa_at > now + leeway:
        raise SecondFactorRequired("The second factor is of a time to come (auth_time); check the clock of its issuer.")
    if identity.mfa_at + FRESH <= now:
        raise SecondFactorRequired(f"The second factor was shown {now - identity.mfa_at:.0f} s ago.")
