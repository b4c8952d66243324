"""A yes, before something is done that can't be undone."""

from __future__ import annotations

import sys

import typer

from gifting.errors import NotConfirmed


def ask(said: str) -> None:
    """Say what is to be done, in a terminal. Raises NotConfirmed without a yes."""
    if not sys.stdin.isatty():
        raise NotConfirmed(said)
    if not typer.confirm(f"{said} Go on?", default=False):
        raise NotConfirmed
