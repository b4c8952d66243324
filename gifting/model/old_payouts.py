"""Payouts of long ago: which are kept no more, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, msgpack

from gifting.model.money import key_time, parse_key
from gifting.model.payouts import DAY_MS, OPEN, Payout, change, due, state

KEPT_MIN: Final = 1_000
"""Payouts of one creator that stay for good; of more, those that are over and :data:`KEPT_DAYS` old go, the oldest
first. The ledger has what they moved for ever.
"""

KEPT_DAYS: Final = 400
"""Days since it was asked for after which a payout may go: by then no bank returns it."""

FORGET_MAX: Final = 100
"""Payouts that go at once."""


class Gone(Struct, frozen=True, omit_defaults=True):
    """Payouts of a creator that are kept no more: how many, and the milli-diamonds that left with them and did not come
    back. No key made up to ``until`` (ms) is good for another. ``last`` are the newest of them, which may be there yet.
    """

    count: int = 0
    diamonds: int = 0
    until: int = 0
    last: tuple[str, ...] = ()


pack_gone = msgpack.Encoder(order="deterministic").encode
unpack_gone = msgpack.Decoder(Gone).decode
"""Raises msgspec.MsgspecError for what is none."""

NONE_GONE: Final = Gone()


def is_over(payout: Payout, now: int) -> bool:
    """Whether nothing is to be done of it any more, nor heard."""
    ended = state(payout) not in OPEN and not due(payout) and not change(payout)
    return ended and payout.created + KEPT_DAYS * DAY_MS <= now


def to_forget(payouts: Iterable[Payout], now: int) -> list[Payout]:
    """Those of a creator's payouts that may go, the oldest first, a piece at a time."""
    known = sorted(payouts, key=lambda payout: payout.created)
    return [payout for payout in known[: max(len(known) - KEPT_MIN, 0)] if is_over(payout, now)][:FORGET_MAX]


def without(gone: Gone, payouts: Sequence[Payout]) -> Gone:
    """What is kept of those that are gone once these are, too."""
    left = sum(payout.diamonds for payout in payouts if not payout.back)
    until = max((key_time(parse_key(payout.id)) for payout in payouts), default=0)
    ids = tuple(payout.id for payout in payouts)
    return Gone(gone.count + len(payouts), gone.diamonds + left, max(gone.until, until), ids)
