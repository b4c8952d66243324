"""Reversals of gifts: what is kept of one, and what it gives back and takes. All times are ms since 1970.

Which of a gift's coins were bonus coins no entry tells, so it is decided when they come back: see :func:`given_back`.
Limits, windows and what a user has sent in all stay as they are, as do a room's totals, ranking and goals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, msgpack

from gifting.model.money import key_time, make_key, parse_key
from gifting.model.orders import Coins

DAYS: Final = 400
"""Days by which earnings are told apart, the longest hold and reserve included; what is older is only a balance."""

SETTLED: Final = bytes(16)
"""The gift that a settlement of a host's debt names: none."""


class Given(Struct, frozen=True):
    """A gift as the ledger has it: ``at`` it was taken, for ``coins``; ``diamonds`` are thousandths."""

    key: bytes
    user: str
    room: str
    host: str
    seq: int
    gift: str
    count: int
    coins: int
    diamonds: int
    at: int


class Taken(Struct, frozen=True):
    """Milli-diamonds: of the host's balance, as its debt, or borne by the platform."""

    diamonds: int = 0
    debt: int = 0
    borne: int = 0


class Returned(Struct, frozen=True):
    """Coins that came back; ``settled`` of them for what the user owed."""

    paid: int
    bonus: int
    settled: int


class Reversal(Struct, frozen=True, omit_defaults=True):
    """``by`` whom and why; ``about`` the support case or the order that it was done for. ``done_at``: when its host's
    side was done, too, and ``taken`` of the host; before, it is to be taken up.
    """

    given: Given
    by: str
    reason: str
    at: int
    about: str = ""
    returned: Returned = Returned(0, 0, 0)
    taken: Taken = Taken()
    done_at: int = 0


pack_reversal = msgpack.Encoder(order="deterministic").encode
unpack_reversal = msgpack.Decoder(Reversal).decode
"""Raises msgspec.MsgspecError for what is none."""


def reversal_key(user: str, gift: bytes) -> bytes:
    """The 16 bytes of a UUIDv7: the same for ever for one gift, whose key is its sender's own."""
    digest = hashlib.blake2b(b"reversal\n" + user.encode() + b"\n" + gift, digest_size=10).digest()
    return parse_key(make_key(key_time(gift), digest))


def given_back(coins: int, kept: int, paid: int) -> Coins:
    """The paid and the bonus coins that come back of a gift, to a user who has ``paid`` coins, of ``kept`` that were
    issued and not taken back.

    Paid coins as far as the user has fewer than that, since only those can have been spent; bonus coins for the rest.
    So no reversal makes a bonus into something that money would be given back for, and who is refunded for a purchase
    finds its coins there.
    """
    back = min(coins, max(kept - paid, 0))
    return Coins(back, coins - back)


def days_taken(days: Mapping[int, int], day: int, diamonds: int) -> dict[int, int]:
    """Of which days' earnings a claw-back takes ``diamonds``: of the gift's own ``day`` first, then of the newest down.

    What is not earned on any of ``days`` is of older ones, which nobody tells apart any more.
    """
    taken: dict[int, int] = {}
    for one in (day, *sorted(days.keys() - {day}, reverse=True)):
        part = min(days.get(one, 0), diamonds)
        if part > 0:
            taken[one] = part
            diamonds -= part
    return taken
