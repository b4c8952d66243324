"""The sandbox's cards, and what each comes to. Numbers are Stripe's own for tests where it has one."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Fate(StrEnum):
    """What comes of a payment with a card."""

    PAYS = "pays"
    DECLINED = "declined"
    CONFIRM = "confirm"
    """It asks the buyer first (3-D Secure)."""
    LATER = "later"
    """The money comes later, as from a bank account."""
    LATER_FAILS = "later_fails"
    REFUND = "refund"
    """Given back later, by somebody at the provider."""
    REFUND_PART = "refund_part"
    """Half of it."""
    REFUND_FAILS = "refund_fails"
    """Every refund is begun, and fails later."""
    NO_REFUND = "no_refund"
    """Refunds are turned down at once."""
    DISPUTE = "dispute"
    """Disputed later, and never decided."""
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    WARNING = "warning"
    """The bank warns of fraud later."""


class Card(NamedTuple):
    number: str
    fate: Fate
    label: str


CARDS: Final = (
    Card("4242424242424242", Fate.PAYS, "Pays"),
    Card("4000000000000002", Fate.DECLINED, "Is declined"),
    Card("4000002760003184", Fate.CONFIRM, "Asks you to confirm (3-D Secure)"),
    Card("4000000000000606", Fate.LATER, "Pays later"),
    Card("4000000000000614", Fate.LATER_FAILS, "Fails later"),
    Card("4000000000007726", Fate.REFUND, "Pays; refunded later"),
    Card("4000000000000705", Fate.REFUND_PART, "Pays; half refunded later"),
    Card("4000000000005126", Fate.REFUND_FAILS, "Pays; refunds fail later"),
    Card("4000000000000804", Fate.NO_REFUND, "Pays; refunds are turned down"),
    Card("4000000000000259", Fate.DISPUTE, "Pays; disputed later"),
    Card("4000000000000903", Fate.DISPUTE_WON, "Pays; disputed later, and won"),
    Card("4000000000001109", Fate.DISPUTE_LOST, "Pays; disputed later, and lost"),
    Card("4000000000005423", Fate.WARNING, "Pays; a fraud warning later"),
)

FATES: Final = {card.number: card.fate for card in CARDS}
