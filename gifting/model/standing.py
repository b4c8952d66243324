"""What the platform vouches for of a person: how old it is, where, and what kind of account it has."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

AGE_MAX: Final = 150

REGION: Final = r"\A([A-Z]{2})?\Z"
"""An ISO 3166-1 alpha-2 code, or nothing."""

ACCOUNT: Final = r"\A[a-z][a-z0-9_-]{0,31}\Z"
"""A kind of account, as the platform calls it."""

PERSONAL: Final = "personal"
"""The kind of account of who says none."""


class Standing(Struct, frozen=True, gc=False):
    """``age`` in years, verified, 0 where it is not known; ``region`` a code, '' where it is not known."""

    age: int = 0
    region: str = ""
    account: str = PERSONAL

    def judged(self, *, age_check: bool) -> Standing:
        """By what rules go: where ages are not asked for, one that nobody vouches for is old enough."""
        return self if age_check or self.age else replace(self, age=AGE_MAX)


standing: Final = lru_cache(4096)(Standing)
"""A :class:`Standing`, one for all who have the same: so a viewer holds no more than a pointer to it."""

UNKNOWN: Final = standing(0, "", PERSONAL)
