"""``gifting room``: open, end and list live rooms."""

from __future__ import annotations

import json as formatter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gifting.cli.options import JsonOption, ServerOption, UrlOption
from gifting.cli.target import reach, run_asking

if TYPE_CHECKING:
    from gifting.client.admin import Admin

LISTED_MAX = 1000
"""Rooms that a list has at most."""

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Open, end and list live rooms.")


@app.command("open")
def open_room(
    room: Annotated[str, typer.Argument(help="Id of the room.")],
    host: Annotated[str, typer.Option(help="Id of the user who hosts it and gets the diamonds.")],
    title: Annotated[str, typer.Option(help="What the stream is about.")] = "",
    host_name: Annotated[str, typer.Option(help="The host's shown name.")] = "",
    url: UrlOption = None,
    data_dir: ServerOption = None,
) -> None:
    """Begin a stream."""
    to = reach(url, data_dir)
    run_asking(to.admin().open_room(room, host, title, host_name), changes=True)
    print(f"{room} is open, hosted by {host}: {to.url}/rooms/{room}")


@app.command("end")
def end_room(
    room: Annotated[str, typer.Argument(help="Id of the room.")], url: UrlOption = None, data_dir: ServerOption = None
) -> None:
    """End a stream. Who watches it is told."""
    run_asking(reach(url, data_dir).admin().end_room(room), changes=True)
    print(f"{room} has ended.")


@app.command("list")
def list_rooms(json: JsonOption = False, url: UrlOption = None, data_dir: ServerOption = None) -> None:
    """List the live rooms, those with the most viewers first."""
    rooms = run_asking(_rooms(reach(url, data_dir).admin()))
    if json:
        print(formatter.dumps(rooms))
    elif not rooms:
        print("No room is live. `gifting room open ROOM --host USER` opens one.")
    else:
        _print_table(rooms)


async def _rooms(admin: Admin) -> list[dict[str, Any]]:
    """Their snapshots; rooms that end meanwhile are left out."""
    import asyncio

    from gifting.errors import RoomNotFound

    names = []
    async for room in admin.rooms():
        names.append(room)
        if len(names) == LISTED_MAX:
            break
    found = await asyncio.gather(*map(admin.room, names), return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, RoomNotFound):
            raise one
    return [one for one in found if isinstance(one, dict)]


def _print_table(rooms: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("room", "host"):
        table.add_column(name, overflow="fold")
    for name in ("viewers", "coins"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("title", overflow="ellipsis", no_wrap=True)
    for room in rooms:
        cells = (room["id"], room["host"]["id"], f"{room['viewers']:,}", f"{room['coins']:,}", room["title"])
        table.add_row(*map(Text, cells))
    Console().print(table)
