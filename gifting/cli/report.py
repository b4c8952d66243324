"""``gifting report``: what finance asks of a month, from the archive."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterable, Mapping
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gifting import config
from gifting.cli.options import DataOption
from gifting.cli.target import data_beside
from gifting.errors import BadSetting, NoArchive

if TYPE_CHECKING:
    from gifting.archive.statements import Report

Format = Literal["text", "json", "csv", "beancount"]
NAMES = "deferred, unspent, debt, losses, payable, trial-balance, journal, tie-out; lock closes the month for good"

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
    """What finance asks of a month, from the archive, whether a server runs or not: docs/finance.md."""
    from gifting.archive.beancount import beancount
    from gifting.archive.locking import at_store, month_of_books
    from gifting.archive.settling import tie_out
    from gifting.archive.statements import REPORTS
    from gifting.model.periods import parse_period

    if name not in REPORTS and name not in ("lock", "tie-out"):
        raise BadSetting(f"There is no report {name[:64]}: {NAMES}.")
    if format == "beancount" and name != "journal":
        raise BadSetting("--format beancount is of the journal.")
    try:
        period = parse_period(month)
    except ValueError as error:
        raise BadSetting(f"--month: {error}.") from None
    settings = settings_beside({"archive": archive, "data_dir": data_dir, "breakage_after": breakage_after})
    url = archive_of(settings)
    if name == "tie-out":
        for line in _shown(asyncio.run(at_store(url, lambda at: tie_out(at, period))), format):
            print(line)
        return
    locker = getuser() if name == "lock" else ""
    finance = asyncio.run(month_of_books(url, period, locker, settings.breakage_after))
    if name == "lock":
        print(f"{month} is locked")
        return
    for line in beancount(finance, period) if format == "beancount" else _shown(REPORTS[name](finance), format):
        print(line)


def settings_beside(flags: Mapping[str, str | int | None]) -> config.Settings:
    """Those that name an archive, else those of the server that runs here."""
    settings = config.load(flags)
    return settings if settings.archive else data_beside(flags)


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
