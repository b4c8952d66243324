"""``gifting grant``: issue coins."""

from __future__ import annotations

from typing import Annotated

import typer

from gifting.cli.options import KeyOption, ServerOption, UrlOption
from gifting.cli.target import reach, run_asking


def grant(
    user: Annotated[str, typer.Argument(help="Id of the user.")],
    coins: Annotated[int, typer.Argument(help="How many.", min=1)],
    reason: Annotated[str, typer.Option(help="Noted in the ledger.")] = "granted by the command line",
    key: KeyOption = "",
    url: UrlOption = None,
    data_dir: ServerOption = None,
) -> None:
    """Issue coins to a user. They come from nowhere: what was paid for them is noted elsewhere."""
    granted = run_asking(reach(url, data_dir).admin().grant(user, coins, reason, key))
    print(f"{user} has {granted['coins']:,} coins.{' They were granted before.' if granted['duplicate'] else ''}")
