"""What hosts want in their rooms, as the specification of the ledger keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Refusal = tuple[str, int]
"""The code of an error, and what ends it: a time, coins, years; or 0."""


@dataclass
class Person:
    """What a host has decided about a user."""

    blocked: bool = False
    muted_until: int = 0
    moderator: bool = False

    def muted(self, now: int) -> Refusal | None:
        return ("muted", self.muted_until) if self.muted_until > now else None


@dataclass
class House:
    """The rules of one room, who commented there last, and the people of its host, whom all its rooms share: as
    ``~user`` what is decided about a user who is not known.
    """

    host: str
    people: dict[str, Person]
    gifting: bool = True
    min_age: int = 0
    regions: Sequence[str] = ()
    max_gift: int = 0
    pause: int = 0
    commented: dict[str, int] = field(default_factory=dict)

    def person(self, user: str) -> Person:
        return self.people.get(user, Person())

    def no_gift(
        self, now: int, user: str, age: int, region: str, coins: int, message: str | None, anonymous: bool = False
    ) -> Refusal | None:
        """In this order: nobody's gift, this user's, one of this kind, these words."""
        person, masked = self.person(user), self.person(f"~{user}") if anonymous else Person()
        if not self.gifting:
            return "gifting_off", 0
        if person.blocked or masked.blocked:
            return "blocked", 0
        if age < self.min_age:
            return "room_age", self.min_age
        if self.regions and region not in self.regions:
            return "room_region", 0
        if 0 < self.max_gift < coins:
            return "room_max_gift", self.max_gift
        return None if message is None else person.muted(now) or masked.muted(now)

    def no_comment(self, now: int, user: str, age: int) -> Refusal | None:
        """The host always may; moderators need not wait."""
        person = self.person(user)
        if user == self.host:
            return None
        if person.blocked:
            return "blocked", 0
        if age < self.min_age:
            return "room_age", self.min_age
        if muted := person.muted(now):
            return muted
        again = self.commented.get(user, now - self.pause) + self.pause
        return ("slow_mode", again) if self.pause and again > now and not person.moderator else None

    def comment(self, now: int, user: str) -> None:
        """Only where there is a pause, anybody's last comment is remembered, and as long as that pause."""
        if self.pause:
            self.commented = {name: at for name, at in self.commented.items() if now - at < self.pause}
            self.commented[user] = now
