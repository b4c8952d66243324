"""Orders, as facts: what providers say is added, so that neither order nor repetition of what they say matters.

What state an order is in, how many coins must be out and what freezes its user are functions of the facts, in
:mod:`gifting.model.consequences`; ``issued`` and ``taken`` say how far the books have followed. All money is in minor
units of the order's currency, all times are ms since 1970.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

from msgspec import Struct, msgpack
from msgspec.structs import replace

from gifting.model.effects import WHOLE, Effect, Kind

Fact = TypeVar("Fact")

ORDERS_MAX: Final = 10_000
"""Orders of one user; they stay for good."""

FACTS_MAX: Final = 100
"""Payments, refunds, disputes, withdrawals and references of one order, each."""


class PaymentMismatch(ValueError):
    """Money that does not fit the order: nothing follows from it, and somebody must look."""


class Coins(NamedTuple):
    paid: int
    bonus: int


class Refund(Struct, frozen=True):
    """Counts unless it failed at or after the time it was made. ``withdrawal``: the one that it carries out, or ''."""

    amount: int
    at: int = 0
    failed_at: int = 0
    withdrawal: str = ""

    @property
    def counts(self) -> bool:
        return self.at > self.failed_at


class Dispute(Struct, frozen=True):
    """Open until it is won or lost; of both the later holds, and of equals the win."""

    amount: int
    won_at: int = 0
    lost_at: int = 0

    @property
    def open(self) -> bool:
        return not self.won_at and not self.lost_at

    @property
    def lost(self) -> bool:
        return self.lost_at > self.won_at


class Asked(Struct, frozen=True, omit_defaults=True):
    """Of a refund by an operator: ``by`` whom, why, and the keys of the gifts that are reversed once the provider has
    taken the order to refund; at ``reversed_at`` they were, all. ``whole``: no amount was named.
    """

    by: str
    reason: str
    gifts: tuple[bytes, ...] = ()
    whole: bool = False
    reversed_at: int = 0


class Withdrawal(Struct, frozen=True, omit_defaults=True):
    """Coins that were taken, and the money that goes back for them: unspent ones, that the buyer gives back, or, where
    an operator ``asked`` for the refund, those of the money, spent or not.

    ``done_at``: when the provider had taken the order to refund; ``failed_at``: when it had said no. ``known`` are the
    refunds without a name that were told of before, which can't be this one's.
    """

    coins: int
    bonus: int
    amount: int
    at: int
    done_at: int = 0
    failed_at: int = 0
    known: tuple[str, ...] = ()
    asked: Asked | None = None


class Return(Struct, frozen=True):
    """A payment that came once more. ``done_at``: the provider has taken the order to refund it; ``failed_at``: it said
    no, and somebody must look.
    """

    done_at: int = 0
    failed_at: int = 0


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One purchase. ``digest`` is of what was asked for; ``before`` the paid coins issued to the user before it.

    ``withdraw_days``, ``refundable`` and ``terms`` are the region's rule and its words as they were told before paying;
    ``terms`` are '' in orders of older versions, which did not keep them, and ``returned``, the money that the books
    have gone back with the coins, is None. ``paid_by`` has the provider's reference of a payment, and ``returns`` what
    became of those that came once more.
    """

    id: str
    user: str
    digest: bytes
    provider: str
    region: str
    currency: str
    price: int
    coins: int
    created: int
    expires: int
    bonus: int = 0
    package: str = ""
    promotion: str = ""
    promotion_cost: int = 0
    discount: int = 0
    withdraw_days: int = 0
    refundable: bool = False
    terms: str = ""
    url: str = ""
    references: tuple[str, ...] = ()
    before: int = 0
    issued: bool = False
    taken: Coins = Coins(0, 0)
    returned: int | None = None
    payments: dict[str, int] = {}
    paid_by: dict[str, str] = {}
    returns: dict[str, Return] = {}
    paying_at: int = 0
    failed_at: int = 0
    expired_at: int = 0
    warned_at: int = 0
    cleared_at: int = 0
    refunds: dict[str, Refund] = {}
    disputes: dict[str, Dispute] = {}
    withdrawals: dict[str, Withdrawal] = {}


pack_order = msgpack.Encoder(order="deterministic").encode
"""An order as it is kept: the same bytes for the same facts."""

unpack_order = msgpack.Decoder(Order).decode
"""Raises msgspec.MsgspecError for what is none."""


def add(order: Order, effect: Effect) -> Order:
    """The order with what the effect says; an equal one, if that was known.

    Raises:
        PaymentMismatch: it is of another provider, the money is not what the order asks for, or there are too many
            facts already.
    """
    if effect.provider != order.provider:
        raise PaymentMismatch(f"{effect.provider} says it of an order of {order.provider}.")
    order = _refer(order, effect.reference)
    match effect.kind:
        case Kind.PAYING:
            return replace(order, paying_at=max(order.paying_at, effect.at))
        case Kind.FAILED:
            return replace(order, failed_at=max(order.failed_at, effect.at))
        case Kind.EXPIRED:
            return replace(order, expired_at=max(order.expired_at, effect.at))
        case Kind.FRAUD_WARNING:
            return replace(order, warned_at=max(order.warned_at, effect.at))
        case Kind.WARNING_CLEARED:
            return replace(order, cleared_at=max(order.cleared_at, effect.at))
        case Kind.PAID:
            return _paid(order, effect)
        case Kind.REFUNDED | Kind.REFUND_FAILED:
            return replace(order, refunds=_joined(order.refunds, effect.object, _refund(order, effect)))
        case Kind.DISPUTED | Kind.DISPUTE_WON | Kind.DISPUTE_LOST:
            return replace(order, disputes=_joined(order.disputes, effect.object, _dispute(order, effect)))


def _refer(order: Order, reference: str) -> Order:
    if not reference or reference in order.references:
        return order
    if len(order.references) == FACTS_MAX:
        raise PaymentMismatch(f"There are {FACTS_MAX} references already.")
    return replace(order, references=tuple(sorted((*order.references, reference))))


def _joined(facts: dict[str, Fact], name: str, fact: Fact) -> dict[str, Fact]:
    if name not in facts and len(facts) == FACTS_MAX:
        raise PaymentMismatch(f"There are {FACTS_MAX} such facts already.")
    return facts | {name: fact}


def _paid(order: Order, effect: Effect) -> Order:
    order = replace(order, payments=_joined(order.payments, effect.object, _pay(order, effect)))
    by = max(order.paid_by.get(effect.object, ""), effect.reference)
    return replace(order, paid_by=order.paid_by | {effect.object: by}) if by else order


def _pay(order: Order, effect: Effect) -> int:
    if effect.currency and (effect.amount, effect.currency.upper()) != (order.price, order.currency):
        raise PaymentMismatch(f"{effect.amount} {effect.currency} for {order.price} {order.currency}.")
    return min(order.payments.get(effect.object, effect.at), effect.at)


def _refund(order: Order, effect: Effect) -> Refund:
    known = order.refunds.get(effect.object, Refund(0))
    at, failed_at = known.at, known.failed_at
    if effect.kind == Kind.REFUNDED:
        at = max(at, effect.at)
    else:
        failed_at = max(failed_at, effect.at)
    return Refund(_amount(order, effect, known.amount), at, failed_at, max(known.withdrawal, effect.withdrawal))


def _dispute(order: Order, effect: Effect) -> Dispute:
    known = order.disputes.get(effect.object, Dispute(0))
    won_at, lost_at = known.won_at, known.lost_at
    if effect.kind == Kind.DISPUTE_WON:
        won_at = max(won_at, effect.at)
    elif effect.kind == Kind.DISPUTE_LOST:
        lost_at = max(lost_at, effect.at)
    return Dispute(_amount(order, effect, known.amount), won_at, lost_at)


def _amount(order: Order, effect: Effect, known: int) -> int:
    """What went back, or is disputed: the most that was said. What says that nothing goes back names no amount."""
    if effect.currency and effect.currency.upper() != order.currency:
        raise PaymentMismatch(f"{effect.kind} in {effect.currency}, the order is in {order.currency}.")
    if effect.kind in (Kind.REFUND_FAILED, Kind.DISPUTE_WON):
        return known
    if effect.share:
        return max(known, part(order.price, effect.share, WHOLE))
    return max(known, min(effect.amount or order.price, order.price))


def part(whole: int, share: int, total: int) -> int:
    """``share`` of ``total`` parts of something, rounded down: the one rule of rounding, of money and of coins."""
    return whole * share // total
