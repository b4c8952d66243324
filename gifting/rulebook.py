"""The files that may be replaced while the server runs: the gifts, the prices, the regions, which
comments are held, and what creators get.

They are read together and come into force together. Where one of them is bad, all stay as they were.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from gifting.config import Settings
from gifting.errors import StartError
from gifting.model.catalog import Catalog, load_catalog
from gifting.model.creators import Creators, load_creators
from gifting.model.moderation import Moderation, load_moderation
from gifting.model.prices import Prices, load_prices
from gifting.model.regions import Regions, load_regions

log = logging.getLogger(__name__)


class Rules(NamedTuple):
    """What the files say, all of one moment."""

    catalog: Catalog
    prices: Prices
    regions: Regions
    moderation: Moderation
    creators: Creators


def read_rules(settings: Settings) -> Rules:
    """Read all of them, the package's own where a setting is empty.

    Raises:
        BadFile: with the file, the line and the reason.
    """
    regions = load_regions(settings.regions)
    catalog, prices = load_catalog(settings.catalog), load_prices(settings.prices, regions.ids)
    return Rules(catalog, prices, regions, load_moderation(settings.moderation), load_creators(settings.creators))


class Rulebook:
    """``rules`` are those in force. They are changed as a whole: nobody may keep a part of them for later.

    ``tell_others`` has the other processes of this server read the files too.

    Raises:
        BadFile: as :func:`read_rules`.
    """

    def __init__(self, settings: Settings, tell_others: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._tell_others = tell_others
        self._reading = asyncio.Lock()
        self._followers: list[Callable[[Rules], None]] = []
        self._checks: list[Callable[[Rules], None]] = []
        self.rules = read_rules(settings)
        _caution(self.rules)

    def follow(self, use: Callable[[Rules], None], check: Callable[[Rules], None] | None = None) -> None:
        """Call ``use`` with all rules to come, at once when they are in force; ``check`` before, to refuse them."""
        self._followers.append(use)
        if check is not None:
            self._checks.append(check)

    async def reload(self) -> Rules:
        """Read the files again. The server goes on meanwhile, by the old ones.

        Raises:
            StartError: one of them is bad, and nothing has changed.
        """
        async with self._reading:
            rules = await asyncio.to_thread(read_rules, self._settings)
            for check in self._checks:
                check(rules)
            self.rules = rules
            _caution(rules)
            for use in self._followers:
                use(rules)
        log.warning("the gifts, prices, regions, moderation and creators' terms were read again, and are in force")
        return rules

    async def reload_everywhere(self) -> Rules:
        """As :meth:`reload`, and if the files are good, in this server's other processes soon after."""
        rules = await self.reload()
        self._tell_others()
        return rules

    async def watch(self, asked: asyncio.Event) -> None:
        """For ever: reload when that is asked for. The log has the answer."""
        while True:
            await asked.wait()
            asked.clear()
            try:
                await self.reload()
            except StartError as error:
                log.error("the gifts, prices, regions, moderation and creators' terms stay what they were: %s", error)


def _caution(rules: Rules) -> None:
    for caution in rules.creators.cautions():
        log.warning("%s", caution)
