"""What holds for whoever sends, whatever they themselves have chosen: by age, region and the settings."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

from gifting.model.packing import pack

TERMS_CACHED: Final = 1000
"""Terms whose bytes are remembered, some 100 bytes each: one for each age and region at most."""


class Terms(Struct, frozen=True):
    """All caps in coins; 0: there is none.

    ``day_cap`` and ``month_cap`` are over rolling 24 hours and 30 days. ``velocity_burst`` coins may be spent at once,
    and ``velocity_rate`` a second after that. A gift of more than ``confirm_above``, and with ``confirm_first`` the
    first gift ever of a user, must be confirmed. ``age`` 0 and ``region`` '' are not known. ``barred`` is a status of
    the ledger (0: none) with which all gifts are refused; ``guarded``: but of those who have a guardian. ``min_age`` in
    years is what is told with it; 0: that it takes a guardian.
    """

    age: int = 0
    region: str = ""
    gift_cap: int = 0
    streak_cap: int = 0
    day_cap: int = 0
    month_cap: int = 0
    velocity_rate: int = 0
    velocity_burst: int = 0
    confirm_above: int = 0
    confirm_first: bool = False
    guarded: bool = False
    barred: int = 0
    min_age: int = 0

    @property
    def packed(self) -> bytes:
        """As the commit script takes them."""
        return _pack(self)


UNBOUND: Final = Terms()
"""No caps, and nothing is asked."""


@lru_cache(TERMS_CACHED)
def _pack(terms: Terms) -> bytes:
    *caps, confirm_first, guarded, barred, min_age = astuple(terms)
    return pack((*caps, int(confirm_first), int(guarded), barred, min_age))[1:]
