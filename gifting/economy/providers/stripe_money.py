"""How Stripe counts money, and the smallest amounts that it takes, as docs.stripe.com/currencies has them. Pure."""

from __future__ import annotations

from typing import Final

_TABLE: Final = """
    AED 200  AUD 50  BGN 100  BRL 50  CAD 50  CHF 50  CZK 1500  DKK 250  EUR 50  GBP 30  HKD 400  HUF 17500  INR 50
    JPY 50  MXN 1000  MYR 200  NOK 300  NZD 50  PLN 200  RON 200  SEK 300  SGD 50  THB 1000  USD 50
"""

_WORTH: Final = "IDR 1000000  KRW 800  PHP 3500  TRY 2500  TWD 2000  VND 15000  ZAR 1200"
"""Of currencies that Stripe's table does not name: a little above half a dollar, which is what counts for them."""

_LEAST: Final = dict(zip(_TABLE.split()[::2], map(int, _TABLE.split()[1::2]), strict=True)) | dict(
    zip(_WORTH.split()[::2], map(int, _WORTH.split()[1::2]), strict=True)
)


HUNDREDTHS: Final = frozenset({"ISK", "UGX"})
"""Currencies that have no minor unit, and in which Stripe takes hundredths all the same."""

STEPS: Final = {"HUF": 100, "TWD": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}
"""Minor units of which Stripe pays out whole multiples only: whole forint, and no last of three digits."""


def to_stripe(amount: int, currency: str) -> int:
    """Minor units as Stripe counts them."""
    return amount * 100 if currency in HUNDREDTHS else amount


def from_stripe(amount: int, currency: str) -> int:
    """What Stripe counts in minor units, rounded down; Stripe itself takes only whole ones."""
    return amount // 100 if currency in HUNDREDTHS else amount


def stripe_least(currency: str) -> int:
    """In minor units; 0 where it is not known, and Stripe itself says no."""
    return _LEAST.get(currency, 0)
