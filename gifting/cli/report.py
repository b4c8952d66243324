"""``gifting report``: what finance asks of a month, from the archive."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from gifting import config
from gifting.cli.options import DataOption
from gifting.cli.target import beside, data_beside
from gifting.errors import BadSetting, NoArchive

if TYPE_CHECKING:
    from gifting.archive.statements import Report

Format = Literal["text", "json", "csv", "beancount"]
NAMES = (
    "deferred, unspent, debt, losses, payable, trial-balance, journal, tie-out, payouts, settled; "
    "lock closes the month for good"
)

DIFFERS: Final = 1
"""Exit status: it is told, and what the archive says now differs from what was locked, or can't be read."""

ArchiveOption = Annotated[
    str | None, typer.Option("--archive", help="sqlite:///path or postgresql://…; by default, that of the settings.")
]


def report(
    name: Annotated[str, typer.Argument(help=f"One of: {NAMES}.")],
    month: Annotated[str, typer.Option("--month", help="As 2026-11, in UTC.")],
    format: Annotated[Format, typer.Option("--format", help="beancount is of the journal.")] = "text",
    archive: ArchiveOption = None,
    data_dir: DataOption = None,
    breakage_after: Annotated[
        int | None, typer.Option("--breakage-after", help="Days; by default, those of the settings.")
    ] = None,
) -> None:
    """What finance asks of a month, from the archive, whether a server runs or not: docs/finance.md. Exit status 1: it
    differs from what was locked, or not all of it can be read."""
    from gifting.archive.beancount import beancount
    from gifting.archive.locking import at_store, lock, tell
    from gifting.archive.statements import REPORTS
    from gifting.archive.tying import TIES
    from gifting.model.periods import parse_period

    if name not in REPORTS and name not in TIES and name != "lock":
        raise BadSetting(f"There is no report {name[:64]}: {NAMES}.")
    if format == "beancount" and name != "journal":
        raise BadSetting("--format beancount is of the journal.")
    try:
        period = parse_period(month)
    except ValueError as error:
        raise BadSetting(f"--month: {error}.") from None
    settings = settings_beside({"archive": archive, "data_dir": data_dir, "breakage_after": breakage_after})
    url = archive_of(settings)
    days, now = settings.breakage_after, int(time.time() * 1000)
    if name == "lock":
        fresh = asyncio.run(at_store(url, lambda store: lock(store, period, getuser(), now, days)))
        print(f"{month} is locked" if fresh else f"{month} was locked before")
        return
    told = asyncio.run(at_store(url, lambda store: tell(store, period, name, days)))
    for line in beancount(told.report, period) if format == "beancount" else _shown(told.report, format):
        print(line)
    if told.lock:
        print(f"{month} was locked by {told.lock.who} on {_day(told.lock.at)}", file=sys.stderr)
    for wrong in told.wrong:
        print(f"WRONG: {wrong}", file=sys.stderr)
    if told.wrong:
        sys.exit(DIFFERS)


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"


def settings_beside(flags: Mapping[str, str | int | None]) -> config.Settings:
    """Those that name an archive, else those of the server that runs here.

    Raises:
        NoArchive: it has a Redis that it was given, and so none that can be found by itself.
    """
    settings = config.load(flags)
    if settings.archive:
        return settings
    running = beside(flags).running
    if running is not None and not running.own_redis:
        raise NoArchive(f"The server at {running.url} has a Redis that it was given: name its archive, --archive URL.")
    return data_beside(flags)


def archive_of(settings: config.Settings) -> str:
    """The URL of an archive that is there. Raises NoArchive."""
    url = settings.archive_url()
    if not url or (not settings.archive and not (settings.data_path / "archive.db").exists()):
        raise NoArchive(f"There is none in {settings.data_path}: say --archive URL.")
    return url


def _shown(report: Report, format: Format) -> Iterable[str]:
    if format == "json":
        rows = [dict(zip(report.columns, row, strict=True)) for row in report.rows]
        return [json.dumps(rows, indent=2)]
    if format == "csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([report.columns, *report.rows])
        return out.getvalue().splitlines()
    return _aligned([report.columns, *report.rows])


def _aligned(rows: list[tuple[str | int, ...]]) -> Iterable[str]:
    widths = [max(len(str(row[place])) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(map(_cell, row, widths)).rstrip()


def _cell(cell: str | int, width: int) -> str:
    return str(cell).rjust(width) if isinstance(cell, int) else cell.ljust(width)
