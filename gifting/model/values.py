"""What the ledger takes and gives, as every layer above it knows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from gifting.errors import GiftingError


class RoomRef(NamedTuple):
    """What never changes of a room: its host, the host's partition, and the host as wire bytes."""

    id: str
    host: str
    base: str
    to_user: bytes


class Sender(NamedTuple):
    """Who sends: the user's partition, the user as a room sees it, as wire bytes, and the terms, packed
    (:class:`Terms`). ``shown`` is the pseudonym of one who sends anonymously; else ''.
    """

    id: str
    base: str
    user: bytes
    terms: bytes
    shown: str = ""


class Result(Struct, frozen=True):
    """What was committed. An event that is no gift has a ``seq`` only.

    ``duplicate``: it had been before, under the same key. ``coins`` are what the sender has left, ``repeat_count`` is
    the streak's total, and ``streak`` the seq of the streak's first event. ``notice``: 50, 80 or 100, so many percent
    of a limit of the sender are spent with it; else 0. ``pending``: it is paid, and on its way to the room: ``seq``,
    ``repeat_count`` and ``streak`` are 0.
    """

    duplicate: bool
    seq: int
    coins: int
    repeat_count: int
    streak: int
    notice: int = 0
    pending: bool = False


class Wallet(NamedTuple):
    """What a user has: coins, and milli-diamonds that gifts to its rooms have earned."""

    coins: int
    diamonds: int


class Granted(NamedTuple):
    """The coins after a grant. ``duplicate``: its key had been used for the same before."""

    coins: int
    duplicate: bool


Outcome = Result | GiftingError
"""How a gift or an event ended: what was committed, or what it was refused for."""

Done = Callable[[Outcome], None]
"""Told once how something ended. What it raises is logged."""
