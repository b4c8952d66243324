"""``gifting send``: a gift from the terminal."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer

from gifting.cli.options import KeyOption, ServerOption, UrlOption
from gifting.cli.target import Reach, reach, run_asking
from gifting.errors import ConfirmRequired


def send(
    room: Annotated[str, typer.Argument(help="Id of the room.")],
    gift: Annotated[str, typer.Argument(help="Id of the gift in the catalog, such as spark.")],
    user: Annotated[str, typer.Option(help="Id of the user who sends it and pays.")],
    count: Annotated[int, typer.Option(help="How many.", min=1)] = 1,
    message: Annotated[str | None, typer.Option(help="Shown with the gift.")] = None,
    name: Annotated[str, typer.Option(help="Shown name of the user.")] = "",
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Show the room a made-up name.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask where the gift has to be confirmed.")] = False,
    key: KeyOption = "",
    url: UrlOption = None,
    data_dir: ServerOption = None,
) -> None:
    """Send a gift as a user. It is paid once, however often it has to be said on the way."""
    to = reach(url, data_dir)
    what = {"room": room, "gift": gift, "count": count, "message": message, "key": key or None}
    sent = run_asking(_send(to, user, name, **what, anonymous=anonymous, confirm=_yes if yes else _ask))
    left = f"; {sent['coins']:,} coins are left" if "coins" in sent else ""
    print(f"{user} sent {count:,} × {gift} to {room}{left}.{' It was paid before.' if sent['duplicate'] else ''}")


async def _yes(error: ConfirmRequired) -> bool:
    return True


async def _ask(error: ConfirmRequired) -> bool:
    """On a terminal only: whoever can't be asked has not said yes."""
    if not sys.stdin.isatty():
        return False
    return await asyncio.to_thread(typer.confirm, f"{error.detail} Send it?", err=True)


async def _send(to: Reach, user: str, name: str, **gift: Any) -> dict[str, Any]:
    from gifting.client import Client

    async with Client(to.url, to.beside.token(user, "viewer", name=name), queue=0) as client:
        return await client.send_gift(**gift)
