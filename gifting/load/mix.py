"""What viewers of a lively stream do, and when: gifts, streaks, likes and comments. Pure but for its random numbers."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final, NamedTuple

from gifting.model.catalog import Gift

STREAK_GAP_MEDIAN: Final = 0.64
STREAK_GAP_SIGMA: Final = 0.9
"""Seconds between two gifts of a streak: lognormal, with this median and a heavy tail."""

CHEAP, MIDDLE = 0.95, 0.99
"""Of 100 gifts 95 cost one coin, 4 cost 2 to 99, 1 costs 100 and more."""

STREAK_GIFTS: Final = 6.0
"""Gifts per streak, on average."""

COMMENTS: Final = (
    "hello from the balcony", "that chorus!", "first time here, love it", "greetings to everyone",
    "play the old one again", "who is on drums?", "so good", "good night from the late shift",
)  # fmt: skip


class Mix:
    """Draws gifts from a catalog as viewers do."""

    def __init__(self, gifts: Iterable[Gift], rng: random.Random) -> None:
        ordered = sorted(gifts, key=lambda gift: gift.coins)
        self._one = [gift for gift in ordered if gift.coins == 1] or ordered[:1]
        self._some = [gift for gift in ordered if 2 <= gift.coins <= 99] or self._one
        self._many = [gift for gift in ordered if gift.coins >= 100] or self._some
        self._rng = rng

    def gift(self) -> Gift:
        drawn = self._rng.random()
        if drawn < CHEAP:
            return self._rng.choice(self._one)
        if drawn < MIDDLE:
            return self._rng.choice(self._some)
        # Dear gifts are rarer the dearer they are.
        return self._rng.choices(self._many, [1 / gift.coins for gift in self._many])[0]

    def streak(self) -> Burst:
        """One gift sent again and again; a gift that is not streakable, once."""
        gift = self.gift()
        times = min(1 + int(self._rng.expovariate(1 / STREAK_GIFTS)), 99) if gift.streakable else 1
        return Burst(gift, [self.gap() for _ in range(times)])

    def gap(self) -> float:
        return min(self._rng.lognormvariate(0, STREAK_GAP_SIGMA) * STREAK_GAP_MEDIAN, 10.0)

    def comment(self) -> str:
        return self._rng.choice(COMMENTS)


class Burst(NamedTuple):
    """A gift, and the pause after each sending of it, in seconds."""

    gift: Gift
    gaps: list[float]
