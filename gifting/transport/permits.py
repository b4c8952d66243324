"""Who may give and buy, by what the platform vouches for, and on which terms: asked before anything is."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gifting.config import Settings
from gifting.errors import Protected, UnknownPackage
from gifting.model.currencies import Money
from gifting.model.standing import AGE_MAX, Standing
from gifting.model.terms import Terms
from gifting.rulebook import Rulebook, Rules

KNOWN_MAX: Final = 4096
"""Standings whose terms are remembered."""


class Permits:
    """As the settings and the regions say. What is remembered is forgotten when the regions are read again."""

    def __init__(self, settings: Settings, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._age_check = settings.age_check
        self._accounts = frozenset(filter(None, map(str.strip, settings.gifting_accounts.split(","))))
        self._confirm_first = settings.confirm_first_gift
        self._known: dict[Standing, Terms | Protected] = {}
        rulebook.follow(self._forget)

    def check(self, standing: Standing) -> None:
        """Raises RegionNotAllowed, AgeRequired, AccountNotAllowed, in this order."""
        self.terms(standing)

    def terms(self, standing: Standing) -> Terms:
        """What holds for who sends. Raises as :meth:`check`."""
        found = self._known.get(standing)
        if found is None:
            while len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            found = self._known[standing] = self._decide(standing)
        if isinstance(found, Protected):
            raise found
        return found

    def price(self, standing: Standing, coins: int) -> Money | None:
        """What so many coins cost at most where somebody is; None where nothing is sold there."""
        prices, regions = self._rulebook.rules.prices, self._rulebook.rules.regions
        try:
            currency = prices.market(regions.of(standing.region).id).currency
            return Money(prices.worth(coins, currency), currency)
        except UnknownPackage:
            return None

    def _decide(self, standing: Standing) -> Terms | Protected:
        regions, vouched = self._rulebook.rules.regions, self._vouched(standing)
        region, guarded = regions.of(standing.region), False
        try:
            region.check(vouched, self._accounts)
        except Protected as error:
            if not region.admits_guarded(vouched, self._accounts):
                return error
            guarded = True
        return regions.terms(standing, confirm_first=self._confirm_first, guarded=guarded)

    def _vouched(self, standing: Standing) -> Standing:
        """Where ages are not asked for, an unknown one is old enough; its caps are still those of the youngest."""
        return standing if self._age_check or standing.age else replace(standing, age=AGE_MAX)

    def _forget(self, rules: Rules) -> None:
        self._known.clear()
