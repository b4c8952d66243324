"""What a host wants in its rooms: the rules of one, and what is decided about people in all of them. Pure."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from msgspec import Meta, Struct

from gifting.model.events import User
from gifting.model.moderation import Reason
from gifting.model.money import MAX_AMOUNT
from gifting.model.standing import AGE_MAX

REGIONS_MAX: Final = 250
"""There are 249 regions in ISO 3166-1."""

SLOW_MODE_MAX: Final = 3600
"""Seconds between two comments of one user, at most."""

MUTE_MAX: Final = 366 * 24 * 60
"""Minutes for which somebody is muted, at most."""

PEOPLE_MAX: Final = 10_000
"""People about whom one host has decided something, about 90 bytes each; mutes that are over are forgotten first."""

MODERATORS_MAX: Final = 100
"""Moderators of one host."""

Region = Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")]
"""A region by its two letters of ISO 3166-1."""

Regions = Annotated[list[Region], Meta(max_length=REGIONS_MAX)]
Age = Annotated[int, Meta(ge=0, le=AGE_MAX)]
Coins = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]
Seconds = Annotated[int, Meta(ge=0, le=SLOW_MODE_MAX)]


class RoomRules(Struct, frozen=True):
    """``gifting``: gifts are taken. ``min_age`` in years: no gifts and no comments are taken below it. ``regions``:
    gifts from these only. ``max_gift`` in coins: none above. ``slow_mode``: seconds between two comments of one user.
    0 and an empty list: any.
    """

    gifting: bool
    min_age: Age
    regions: Regions
    max_gift: Coins
    slow_mode: Seconds


NO_RULES: Final = RoomRules(gifting=True, min_age=0, regions=[], max_gift=0, slow_mode=0)
"""Those of a room whose host has set none."""


class RulesChange(Struct, frozen=True):
    """What is to be changed of a room's rules; what is not named stays."""

    gifting: bool | None = None
    min_age: Age | None = None
    regions: Regions | None = None
    max_gift: Coins | None = None
    slow_mode: Seconds | None = None

    @property
    def of_comments(self) -> bool:
        """Whether it is about comments alone, and so for moderators too."""
        return all(value is None for value in (self.gifting, self.min_age, self.regions, self.max_gift))


RulesValues = tuple[int | None, int | None, int | None, int | None, str | None]
"""Gifting 0 or 1, the age, coins, ms, and all regions, each between blanks, as the scripts keep rules; None in a change
is what stays.
"""


def rules_values(rules: RulesChange) -> RulesValues:
    """A change as the scripts take it."""
    gifting = None if rules.gifting is None else int(rules.gifting)
    slow = None if rules.slow_mode is None else rules.slow_mode * 1000
    regions = None if rules.regions is None else _join(rules.regions)
    return gifting, rules.min_age, rules.max_gift, slow, regions


def _join(regions: list[str]) -> str:
    return f" {' '.join(sorted(set(regions)))} " if regions else ""


def read_rules(gifting: int, min_age: int, max_gift: int, slow: int, regions: str) -> RoomRules:
    """Rules as the scripts give them."""
    return RoomRules(bool(gifting), min_age, regions.split(), max_gift, slow // 1000)


class Person(Struct, frozen=True):
    """What a host has decided about a user, or by a pseudonym about what its user gives anonymously. ``muted_until`` is
    in ms since 1970; 0: not muted.
    """

    user: str
    blocked: bool
    muted_until: int
    moderator: bool


class HeldComment(Struct, frozen=True):
    """A comment that waits for the host: ``ts`` is when it was said, ``why`` what it is held for."""

    id: str
    ts: int
    user: User
    text: str
    why: Reason


class PersonChange(NamedTuple):
    """What is to be changed about a user, ``mute`` in ms from now on; None: it stays."""

    blocked: bool | None = None
    mute: int | None = None
    moderator: bool | None = None

    @property
    def values(self) -> tuple[int | None, int | None, int | None]:
        """As the scripts take it."""
        blocked = None if self.blocked is None else int(self.blocked)
        return blocked, self.mute, None if self.moderator is None else int(self.moderator)


def read_person(user: str, blocked: int, muted_until: int, moderator: int, shown: str = "") -> Person:
    """A person as the scripts give it; ``shown`` in place of the user where it is decided by a pseudonym."""
    return Person(shown or user, bool(blocked), muted_until, bool(moderator))
