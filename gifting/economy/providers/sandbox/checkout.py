"""A checkout of the sandbox: who pays what, and what was done to it. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gifting.economy.providers.base import ProviderRefused
from gifting.economy.providers.sandbox.cards import FATES, Fate

LIFE: Final = 30 * 60_000
"""ms in which a checkout can be paid."""

REFUNDS_MAX: Final = 20
"""Refunds of one checkout."""


class Refund(Struct, frozen=True, array_like=True):
    """``withdrawal``: what it was asked for under."""

    withdrawal: str
    amount: int
    at: int


class Checkout(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept. Times are ms since 1970, ``delay`` is in ms: how long "later" is.

    ``asked``: the number of a card that waits for the buyer to confirm; ``card``: the one that was charged.
    ``told``: ids of the events that were taken, or given up; ``tries``: how often the next was sent in vain, and
    ``again`` when it is sent next.
    """

    order: str
    user: str
    amount: int
    currency: str
    label: str
    return_url: str
    created: int
    delay: int
    asked: str = ""
    card: str = ""
    paid_at: int = 0
    closed_at: int = 0
    refunds: tuple[Refund, ...] = ()
    told: tuple[str, ...] = ()
    tries: int = 0
    again: int = 0

    @property
    def id(self) -> str:
        return checkout_id(self.order)

    @property
    def payment(self) -> str:
        return f"pi_{bare(self.order)}"

    @property
    def expires(self) -> int:
        return self.created + LIFE

    def status(self, now: int) -> Literal["open", "confirm", "paid", "closed"]:
        """What its page shows."""
        if self.card:
            return "paid"
        if self.closed_at or now >= self.expires:
            return "closed"
        return "confirm" if self.asked else "open"


def checkout_id(order: str) -> str:
    """One checkout for one order, however often it is asked for: so nobody can pay twice."""
    return f"cs_{bare(order)}"


_read = msgspec.msgpack.Decoder(Checkout).decode


def read(known: bytes) -> Checkout:
    return _read(known)


def write(checkout: Checkout) -> bytes:
    return msgspec.msgpack.encode(checkout)


# What is done to it. Each raises ProviderRefused where it can't be.


def pay(checkout: Checkout, number: str, now: int) -> Checkout:
    """Try a card."""
    _must_be(checkout, now, "open", "confirm")
    fate = FATES.get(number)
    if fate is None:
        raise ProviderRefused("The sandbox has no such card.")
    if fate is Fate.DECLINED:
        raise ProviderRefused("The card was declined.")
    if fate is Fate.CONFIRM:
        return replace(checkout, asked=number)
    return replace(checkout, asked="", card=number, paid_at=now)


def confirm(checkout: Checkout, approved: bool, now: int) -> Checkout:
    """The buyer's answer where the card asks for one."""
    _must_be(checkout, now, "confirm")
    if not approved:
        return replace(checkout, asked="")
    return replace(checkout, asked="", card=checkout.asked, paid_at=now)


def close(checkout: Checkout, now: int) -> Checkout:
    """The buyer does not want it any more."""
    _must_be(checkout, now, "open", "confirm")
    return replace(checkout, asked="", closed_at=now)


def refund(checkout: Checkout, amount: int, withdrawal: str, now: int) -> Checkout:
    """Give money back, once per ``withdrawal``."""
    if any(one.withdrawal == withdrawal for one in checkout.refunds):
        return checkout
    left = checkout.amount - coming(checkout) - sum(one.amount for one in checkout.refunds)
    turned_down = FATES.get(checkout.card) in {None, Fate.NO_REFUND, Fate.LATER_FAILS}
    if turned_down or not 0 < amount <= left or len(checkout.refunds) >= REFUNDS_MAX:
        raise ProviderRefused(f"The sandbox does not give {amount} back.")
    return replace(checkout, refunds=(*checkout.refunds, Refund(withdrawal, amount, now)))


def _must_be(checkout: Checkout, now: int, *statuses: str) -> None:
    if checkout.status(now) not in statuses:
        raise ProviderRefused(f"This checkout is {checkout.status(now)}.")


def coming(checkout: Checkout) -> int:
    """What the provider gives back by itself."""
    fate = FATES.get(checkout.card)
    if fate is Fate.REFUND:
        return checkout.amount
    return checkout.amount // 2 if fate is Fate.REFUND_PART else 0


def bare(name: str) -> str:
    return name.replace("-", "")
