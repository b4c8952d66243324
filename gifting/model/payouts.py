"""Payouts, as facts: what providers say is added, so that neither order nor repetition of what they say matters.

What is asked for leaves the balance when it is asked for, and comes back once if the payout fails, is returned by the
bank or is rejected: ``back`` says how far the books have followed. Diamonds are in thousandths, money is in minor
units, all times are ms since 1970.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct, msgpack
from msgspec.structs import replace

from gifting.model.currencies import EXPONENTS
from gifting.model.money import key_time, make_key, parse_key

PAYOUTS_MAX: Final = 10_000
"""Payouts of one creator that are kept at once; :mod:`.old_payouts` says which go."""

OPEN_MAX: Final = 20
"""Payouts of one creator that may be under way at once."""

REFERENCES_MAX: Final = 20
"""References of one payout."""

REASON_MAX: Final = 200
"""Characters of a reason."""

DAY_MS: Final = 86_400_000
"""The daily maximum counts what was asked for in the last 24 h: a day that began at midnight would let one night pay
two of them.
"""

ASK_EVERY: Final = 3_600_000
"""ms between two questions after a payout that is on its way, where no webhook tells."""

IN_REVIEW: Final = 10**14
"""ms that a payout which an operator must look at is due after it was asked for: never, but it is not forgotten."""

SEND_AGAIN: Final = 600_000
"""ms for which a payout is left to whoever said to be sending it, as long as nothing is known of it: one at a time asks
to send, or one might be refused while another is sent.
"""

RETURN_DAYS: Final = 30
"""Days after it is paid for which it is asked, once a day, whether the bank has returned it."""

SETTLED: Final = 10**9
"""Micros of a currency's unit, of a thousandth of a diamond: what the two factors of a price come to."""


class PayoutMismatch(ValueError):
    """What was said does not fit the payout: nothing follows from it, and somebody must look."""


class State(StrEnum):
    REQUESTED = "requested"
    REVIEW = "review"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    RETURNED = "returned"


OPEN: Final = (State.REQUESTED, State.REVIEW, State.PROCESSING)


class Kind(StrEnum):
    SENT = "sent"
    """The provider has taken it."""
    PAID = "paid"
    FAILED = "failed"
    """It never arrives, and the money is with the platform again, or never left it."""
    RETURNED = "returned"
    """It had arrived; the money is with the platform again."""
    STUCK = "stuck"
    """It does not arrive, and the money is not with the platform again either: somebody must look."""


class Fact(Struct, frozen=True):
    """Something a provider says of a payout, whoever tells it and how often. ``at`` is the time of what happened.

    The payout is named by ``payout``, or by a ``reference`` noted before (``stripe:po_…``); where both are given, the
    reference is noted. ``currency`` is '' where no money is named that could be compared.
    """

    provider: str
    kind: Kind
    at: int
    payout: str = ""
    reference: str = ""
    amount: int = 0
    currency: str = ""
    reason: str = ""


class Payout(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One payout. ``digest`` is of what was asked for, and ``account`` the creator's at the provider.

    ``review``: why somebody must look at it first, or ''. ``decided_at`` and ``by``: who has, and ``rejected``.
    ``sending_at`` is noted before the provider is asked to send, so that what broke off there is looked for first.
    """

    id: str
    host: str
    digest: bytes
    provider: str
    account: str
    diamonds: int
    amount: int
    currency: str
    created: int
    review: str = ""
    decided_at: int = 0
    rejected: bool = False
    by: str = ""
    sending_at: int = 0
    sent_at: int = 0
    paid_at: int = 0
    failed_at: int = 0
    returned_at: int = 0
    stuck_at: int = 0
    asked_at: int = 0
    reason: str = ""
    references: tuple[str, ...] = ()
    back: bool = False


pack_payout = msgpack.Encoder(order="deterministic").encode
"""A payout as it is kept: the same bytes for the same facts."""

unpack_payout = msgpack.Decoder(Payout).decode
"""Raises msgspec.MsgspecError for what is none."""


def add(payout: Payout, fact: Fact) -> Payout:
    """The payout with what the fact says; an equal one, if that was known.

    Raises:
        PayoutMismatch: it is of another provider, the money is another, it was never sent, or there are too many
            references.
    """
    if fact.provider != payout.provider:
        raise PayoutMismatch(f"{fact.provider} says it of a payout of {payout.provider}.")
    if not payout.sending_at:
        raise PayoutMismatch(f"It is {fact.kind}, and nobody was asked to send it.")
    if fact.currency and (fact.amount, fact.currency.upper()) != (payout.amount, payout.currency):
        raise PayoutMismatch(f"{fact.amount} {fact.currency} of {payout.amount} {payout.currency}.")
    payout = _refer(payout, fact.reference)
    reason = max(payout.reason, fact.reason[:REASON_MAX])
    match fact.kind:
        case Kind.SENT:
            return replace(payout, sent_at=_first(payout.sent_at, fact.at))
        case Kind.PAID:
            return replace(payout, paid_at=_first(payout.paid_at, fact.at))
        case Kind.FAILED:
            return replace(payout, failed_at=_first(payout.failed_at, fact.at), reason=reason)
        case Kind.RETURNED:
            return replace(payout, returned_at=_first(payout.returned_at, fact.at), reason=reason)
        case Kind.STUCK:
            return replace(payout, stuck_at=_first(payout.stuck_at, fact.at), reason=reason)


def _first(known: int, at: int) -> int:
    return min(known or at, at)


def _refer(payout: Payout, reference: str) -> Payout:
    if not reference or reference in payout.references:
        return payout
    if len(payout.references) == REFERENCES_MAX:
        raise PayoutMismatch(f"There are {REFERENCES_MAX} references already.")
    return replace(payout, references=tuple(sorted((*payout.references, reference))))


def state(payout: Payout) -> State:
    """Where it stands: what came back is never paid again, whatever is said later (:func:`contradicts`)."""
    if came_back(payout):
        return State.RETURNED if payout.paid_at or payout.returned_at else State.FAILED
    if payout.paid_at:
        return State.PAID
    if payout.sending_at:
        return State.PROCESSING
    return State.REVIEW if payout.review and not payout.decided_at else State.REQUESTED


def came_back(payout: Payout) -> bool:
    """Whether its diamonds belong to the creator again."""
    return bool(payout.rejected or payout.failed_at or payout.returned_at)


def contradicts(payout: Payout) -> bool:
    """Whether it is said to be paid after it came back: the creator may have both, so somebody must look."""
    return payout.paid_at > max(payout.failed_at, payout.returned_at) > 0


def change(payout: Payout) -> int:
    """Milli-diamonds that the facts give back and the books have not."""
    return payout.diamonds if came_back(payout) and not payout.back else 0


def booked(payout: Payout) -> Payout:
    """The payout after its :func:`change`."""
    return replace(payout, back=came_back(payout))


def may_send(payout: Payout, now: int) -> bool:
    """Whether somebody may begin to send it: nobody has, or whoever did is gone."""
    if state(payout) is State.PROCESSING:
        return not payout.sent_at and now >= payout.sending_at + SEND_AGAIN
    return state(payout) is State.REQUESTED


def due(payout: Payout) -> int:
    """When it must be looked at, ms; 0 for never: to send it, to go on sending, to ask what became of it."""
    seen = max(payout.sent_at, payout.asked_at)
    match state(payout):
        case State.REVIEW:
            return IN_REVIEW + payout.created
        case State.REQUESTED:
            return max(payout.decided_at, payout.created, payout.asked_at + 1)
        case State.PROCESSING:
            return seen + ASK_EVERY if payout.sent_at else max(payout.sending_at, payout.asked_at + 1)
        case State.PAID:
            then = max(payout.paid_at, payout.asked_at) + DAY_MS
            return then if then <= payout.paid_at + RETURN_DAYS * DAY_MS else 0
        case _:
            return 0


def counted(payout: Payout, since: int) -> int:
    """The money of it that counts towards the maximum of the time since."""
    return payout.amount if payout.created > since and not came_back(payout) else 0


def payable(diamonds: int, micros: int, currency: str, step: int = 1) -> tuple[int, int]:
    """Of milli-diamonds those that make whole steps of minor units, and these: what makes none stays in the balance.

    ``micros``: what a whole diamond is worth, in millionths of the currency's unit.
    """
    worth = micros * 10 ** EXPONENTS[currency]
    amount = diamonds * worth // SETTLED // step * step
    return -(-amount * SETTLED // worth), amount


def payout_id(host: str, key: bytes) -> str:
    """The id of the payout that a creator asked for under a key: the same for ever, and in the order of time."""
    return make_key(key_time(key), hashlib.blake2b(host.encode() + b"\n" + key, digest_size=10).digest())


class Entered(NamedTuple):
    """The keys of a payout's two entries: 16 bytes each."""

    out: bytes
    back: bytes


def entry_keys(payout: str) -> Entered:
    """Both are of the payout's own time: each is entered once, whoever tells of it, and however late."""
    out = parse_key(payout)
    back = hashlib.blake2b(b"back\n" + out, digest_size=10).digest()
    return Entered(out, parse_key(make_key(key_time(out), back)))
