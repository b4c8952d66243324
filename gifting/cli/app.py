"""``gifting``: which commands there are, and how an error is told."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from gifting import __version__
from gifting.cli import partitions, room, settings
from gifting.cli.archive import archive
from gifting.cli.audit import audit
from gifting.cli.bench import bench
from gifting.cli.demo import demo
from gifting.cli.grant import grant
from gifting.cli.report import report
from gifting.cli.resume import resume
from gifting.cli.send import send
from gifting.cli.serve import serve
from gifting.cli.settlements import settlements
from gifting.cli.token import token
from gifting.cli.watch import watch
from gifting.errors import GiftingError, OutcomeUnknown, Unconfirmed

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (serve, demo):
    app.command()(command)
app.add_typer(room.app, name="room")
for command in (grant, send, watch, token, audit, archive, report, settlements):
    app.command()(command)
app.add_typer(settings.app, name="settings")
app.add_typer(partitions.app, name="partitions")
for command in (resume, bench):
    app.command()(command)


REFUSED, UNCERTAIN = 2, 3
"""Exit statuses: it was not done; it may have been done."""


def run() -> None:
    """Run the command line; an error that we raise on purpose is one line, not a traceback."""
    try:
        app()
    except GiftingError as error:
        errors = Console(stderr=True)
        errors.print(f"gifting: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(UNCERTAIN if isinstance(error, OutcomeUnknown | Unconfirmed) else REFUSED)


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"gifting {__version__}")
        raise typer.Exit


@app.callback()
def _gifting(
    version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say it.")] = False,
) -> None:
    """A real-time gifting server for live streams."""
