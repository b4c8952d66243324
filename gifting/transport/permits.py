"""On which terms somebody gives, by what the platform vouches for.

They may say that all is refused. That is done by the ledger, which looks at the gift's key first: who may give no more
is still told of a gift that was taken before.
"""

from __future__ import annotations

from typing import Final

from gifting.config import Settings
from gifting.errors import UnknownPackage
from gifting.ledger.gifts import barring
from gifting.model.currencies import Money
from gifting.model.standing import Standing
from gifting.model.terms import Terms
from gifting.rulebook import Rulebook, Rules

KNOWN_MAX: Final = 4096
"""Standings whose terms are remembered."""


class Permits:
    """As the settings and the regions say. What is remembered is forgotten when the regions are read again."""

    def __init__(self, settings: Settings, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._age_check = settings.age_check
        self._accounts = settings.gifting_kinds()
        self._confirm_first = settings.confirm_first_gift
        self._known: dict[Standing, Terms] = {}
        rulebook.follow(self._forget)

    def terms(self, standing: Standing) -> Terms:
        """What holds for who sends."""
        found = self._known.get(standing)
        if found is None:
            while len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            found = self._known[standing] = self._decide(standing)
        return found

    def price(self, standing: Standing, coins: int) -> Money | None:
        """What so many coins cost at most where somebody is; None where nothing is sold there."""
        prices, regions = self._rulebook.rules.prices, self._rulebook.rules.regions
        try:
            currency = prices.market(regions.of(standing.region).id).currency
            return Money(prices.worth(coins, currency), currency)
        except UnknownPackage:
            return None

    def _decide(self, standing: Standing) -> Terms:
        """The caps of an age that nobody vouches for are those of the youngest, also where ages are not asked for."""
        regions, judged = self._rulebook.rules.regions, standing.judged(age_check=self._age_check)
        region, terms = regions.of(standing.region), regions.terms(standing, confirm_first=self._confirm_first)
        if (refusal := region.refusal(judged, self._accounts)) is None:
            return terms
        guarded = region.refusal(judged, self._accounts, guarded=True) is None
        return barring(terms, refusal, region.told_age, guarded=guarded)

    def _forget(self, rules: Rules) -> None:
        self._known.clear()
