"""Settlements, taken in beside the archiver by a schedule: what providers of payments say they settled.

The economy knows its providers and the archive its tables; here the one is asked for the other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from gifting.archive.archiver import FAILURES
from gifting.archive.collecting import collect
from gifting.archive.store import Store, open_store
from gifting.config import Settings
from gifting.economy.providers.base import Provider, ProviderRefused
from gifting.economy.providers.registry import Parts, make_provider, provider_names
from gifting.errors import GiftingError
from gifting.ledger.ledger import Ledger
from gifting.rulebook import read_rules

log = logging.getLogger(__name__)

RETRY_MIN, RETRY_MAX = 1.0, 300.0
"""Seconds until what failed is tried again: first, and at most. It doubles."""


@asynccontextmanager
async def providers_of(settings: Settings, url: str, names: Iterable[str]) -> AsyncIterator[list[Provider]]:
    """These providers, over the Redis at ``url``. Raises BadSetting and MissingExtra where one can't be made."""
    rules = read_rules(settings)
    ledger = Ledger(url, settings, rules.catalog)
    parts = Parts(settings, ledger, lambda: settings.secrets, lambda: rules.prices)
    made: list[Provider] = []
    try:
        made.extend(make_provider(name, parts) for name in names)
        yield made
    finally:
        for provider in made:
            await provider.close()
        await ledger.redis.aclose()


async def keep_taking_in(settings: Settings, url: str, stop: asyncio.Event) -> None:
    """Ask all providers in use every ``settlements_interval``, until ``stop``. What fails is told in the log."""
    if not settings.settlements_interval:
        return
    try:
        async with providers_of(settings, url, provider_names(settings)) as providers:
            await _keep(settings, providers, stop)
    except GiftingError as error:
        log.error("no settlements are taken in: %s", error)


async def _keep(settings: Settings, providers: list[Provider], stop: asyncio.Event) -> None:
    store, retry = open_store(settings.archive_url()), RETRY_MIN
    try:
        while not stop.is_set():
            well = all([await _take_in(store, provider) for provider in providers])
            pause = settings.settlements_interval if well else min(retry, settings.settlements_interval)
            retry = RETRY_MIN if well else min(2 * retry, RETRY_MAX)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
    finally:
        await store.close()


async def _take_in(store: Store, provider: Provider) -> bool:
    """Whether nothing failed that may go better the next time."""
    try:
        new = await collect(store, provider, time.time_ns() // 1_000_000)
    except ProviderRefused:
        return True
    except (GiftingError, *FAILURES) as error:
        log.warning("what %s settled is not taken in now: %s", provider.name, type(error).__name__)
        return False
    if new:
        log.info("%s settled %d movements of money", provider.name, new)
    return True
