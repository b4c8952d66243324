"""``gifting settlements``: take in what providers settled, from a file or from the provider itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer
import uvloop

from gifting import config
from gifting.cli.options import DataOption, RedisOption
from gifting.cli.report import ArchiveOption, archive_of, settings_beside
from gifting.errors import BadSetting, UnknownProvider
from gifting.model.periods import month_of, parse_period, preceding, starts

if TYPE_CHECKING:
    from gifting.archive.store import Store
    from gifting.economy.providers.base import Provider

PAGE: Final = 500
"""Rows of a provider that are taken in at once; those of a file all are."""


def settlements(
    file: Annotated[typer.FileText | None, typer.Argument(help="A CSV of what was settled: docs/finance.md.")] = None,
    provider: Annotated[str, typer.Option("--provider", help="Ask it: sandbox or stripe.")] = "",
    since: Annotated[str, typer.Option("--since", help="A month, as 2026-11; by default, the last one.")] = "",
    archive: ArchiveOption = None,
    data_dir: DataOption = None,
    redis: RedisOption = None,
) -> None:
    """Take in what a provider settled, for `gifting report tie-out`; again changes nothing."""
    from gifting.archive.locking import at_store
    from gifting.archive.settling import read_settlements, take_in

    if (file is None) == (not provider):
        raise BadSetting("Name a file, or a --provider.")
    settings = settings_beside({"archive": archive, "data_dir": data_dir, "redis": redis})
    url = archive_of(settings)
    if file is None:
        from_ms = _since(since)
        told, new = uvloop.run(at_store(url, lambda store: _ask(settings, provider, from_ms, store)))
    else:
        rows = list(read_settlements(file))
        told, new = len(rows), uvloop.run(at_store(url, lambda store: take_in(store, rows)))
    print(f"{new} new of {told}")


def _since(month: str) -> int:
    try:
        return starts(parse_period(month) if month else preceding(month_of(int(time.time() * 1000))))
    except ValueError as error:
        raise BadSetting(f"--since: {error}.") from None


async def _ask(settings: config.Settings, name: str, since: int, store: Store) -> tuple[int, int]:
    """How many rows the provider told, and how many were new. What was taken in stays, if it fails."""
    from gifting.archive.settling import Settled, take_in

    told = new = 0
    rows: list[Settled] = []
    async with _provider(settings, name) as provider:
        async for one in provider.settlements(since):
            rows.append(one._asdict())
            if len(rows) == PAGE:
                told, new, rows = told + PAGE, new + await take_in(store, rows), []
    return told + len(rows), new + await take_in(store, rows)


@asynccontextmanager
async def _provider(settings: config.Settings, name: str) -> AsyncIterator[Provider]:
    """Raises UnknownProvider; NoData where there is no Redis of a server; and what making it raises."""
    from gifting.cli.data import redis_of_data
    from gifting.economy.providers.registry import KNOWN, Parts, make_provider
    from gifting.ledger.ledger import Ledger
    from gifting.rulebook import read_rules

    if name not in KNOWN:
        raise UnknownProvider(f"There are {', '.join(KNOWN)}.")
    rules = read_rules(settings)
    async with redis_of_data(settings) as url:
        ledger = Ledger(url, settings, rules.catalog)
        provider = make_provider(name, Parts(settings, ledger, lambda: settings.secrets, lambda: rules.prices))
        try:
            yield provider
        finally:
            await provider.close()
            await ledger.redis.aclose()
