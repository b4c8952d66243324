"""``gifting settlements``: take in what providers settled, from a file or from the provider itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
import uvloop

from gifting import config
from gifting.cli.options import DataOption, RedisOption
from gifting.cli.report import ArchiveOption, archive_of, settings_beside
from gifting.errors import BadSetting, UnknownProvider
from gifting.model.periods import month_of, parse_period, preceding, starts

if TYPE_CHECKING:
    from gifting.archive.store import Store


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
    """How many rows the provider told, and how many were new. What was taken in stays, if it fails.

    Raises UnknownProvider; NoData where there is no Redis of a server; and what making it raises.
    """
    from gifting.archive.settling import take_in
    from gifting.cli.data import redis_of_data
    from gifting.economy.providers.registry import KNOWN
    from gifting.settlements import providers_of

    if name not in KNOWN:
        raise UnknownProvider(f"There are {', '.join(KNOWN)}.")
    told, new, page = 0, 0, ""
    async with redis_of_data(settings) as url, providers_of(settings, url, [name]) as (provider,):
        while True:
            found = await provider.settlements(since, time.time_ns() // 1_000_000, page)
            told, new = told + len(found.rows), new + await take_in(store, found.rows)
            if not (page := found.next):
                return told, new
