"""A room as the specification of the ledger keeps it: its log, its open streaks, its ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.reference_house import House

Event = dict[str, Any]
User = Mapping[str, Any]
"""A user or host as the room sees them: a map with an ``id``."""


class Logged(NamedTuple):
    """An event, and what the batch's index says of it."""

    event: Event
    streak: int
    weight: int
    closes: bool


@dataclass
class Streak:
    """``static`` is what all its events share, as the first one said it."""

    static: Event
    first: int
    last: int
    repeats: int = 0
    coins: int = 0


@dataclass
class Room:
    id: str
    host: User
    title: str
    house: House
    live: bool = True
    coins: int = 0
    diamonds: int = 0
    likes: int = 0
    log: list[Logged] = field(default_factory=list)
    streaks: dict[tuple[str, str], Streak] = field(default_factory=dict)
    spent: Counter[str] = field(default_factory=Counter)
    users: dict[str, User] = field(default_factory=dict)

    def append(self, now: int, event: Event, streak: int = 0, weight: int = 0, closes: bool = False) -> int:
        seq = len(self.log) + 1
        self.log.append(Logged(event | self.stamp(seq, now), streak, weight, closes))
        return seq

    def stamp(self, seq: int, ts: int) -> Event:
        return {"seq": seq, "ts": ts, "id": f"{self.id}.{seq}"}

    def finish(self, now: int, name: tuple[str, str]) -> None:
        streak = self.streaks.pop(name)
        self.append(now, self.event(streak, ended=True), streak.first, streak.coins, closes=True)

    def event(self, streak: Streak, ended: bool, count: int = 0, coins: int = 0, diamonds: int = 0) -> Event:
        """An event of a streak; one that sends nothing is its end, or its place in a snapshot."""
        sent = {"count": count, "coins": coins, "message": None, "diamonds": diamonds}
        total = {
            "repeat_count": streak.repeats,
            "repeat_end": ended,
            "streak_id": f"{self.id}.{streak.first}",
        }
        return streak.static | sent | total

    def top(self, limit: int) -> list[dict[str, Any]]:
        """Most coins first; of equals the later name first."""
        ranked = sorted(self.spent.items(), key=lambda item: (item[1], item[0]), reverse=True)
        return [{"user": self.users[user], "coins": coins} for user, coins in ranked[:limit]]

    def open_streaks(self) -> list[Event]:
        """As a snapshot shows them."""
        return [
            self.event(streak, ended=False) | self.stamp(streak.first, streak.last) for streak in self.streaks.values()
        ]
