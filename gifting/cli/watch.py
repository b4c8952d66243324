"""``gifting watch``: a room's live feed in the terminal."""

from __future__ import annotations

import json as formatter
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import typer

from gifting.cli.options import ServerOption, UrlOption
from gifting.cli.target import Reach, reach, run_asking
from gifting.errors import BadSetting, by_code

Event = Mapping[str, Any]


def watch(
    room: Annotated[str, typer.Argument(help="Id of the room.")],
    since: Annotated[int | None, typer.Option(help="Begin after this seq; 0: with all that is kept.", min=0)] = None,
    lane: Annotated[str, typer.Option(help="all: every event. live: of a burst only what counts most.")] = "all",
    json: Annotated[bool, typer.Option("--json", help="Print events as they are, a JSON object a line.")] = False,
    seconds: Annotated[float, typer.Option(help="Stop after this long; 0: when the stream ends.", min=0)] = 0.0,
    url: UrlOption = None,
    data_dir: ServerOption = None,
) -> None:
    """Show what happens in a room, until its stream ends or Ctrl-C."""
    if lane not in {"all", "live"}:
        raise BadSetting(f"--lane is {lane!r}; it must be all or live.")
    say = _say_json if json else _say
    try:
        run_asking(_watch(reach(url, data_dir), room, since, lane, say, seconds or None))
    except KeyboardInterrupt:
        sys.exit(0)


async def _watch(
    to: Reach, room: str, since: int | None, lane: str, say: Callable[[Event], None], seconds: float | None
) -> None:
    import asyncio

    from gifting.client import Client

    async with Client(to.url, to.beside.token("watcher", "overlay", ttl=86400.0, room=room)) as client:
        await client.join(room, since=since, lane=lane)
        try:
            async with asyncio.timeout(seconds) as bound:
                async for event in client.events():
                    say(event)
                    if event["type"] == "stream_end":
                        return
                    if event["type"] == "lost":
                        raise by_code(event["error"])
        except TimeoutError:
            if not bound.expired():
                raise


def _say_json(event: Event) -> None:
    _print(formatter.dumps(event, ensure_ascii=False))


def _say(event: Event) -> None:
    if text := describe(event):
        stamp = time.strftime("%H:%M:%S", time.localtime(event["ts"] / 1000 if "ts" in event else None))
        _print(f"{stamp}  {plain(text)}")


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # who read it has gone, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


def describe(event: Event) -> str:
    """One line about an event; '' for what a reader of lines need not see."""
    who = event["user"]["name"] or event["user"]["id"] if "user" in event else ""
    match event["type"]:
        case "gift" if event["count"]:
            return _describe_gift(event, who)
        case "like":
            return f"{event['count']:,} likes, {event['total']:,} in all"
        case "comment" if event["text"]:
            return f"{who}: {event['text']}"
        case "comment_removed":
            return f"(what was said in {event['comment_id']} was removed)"
        case "gift_reversed":
            return f"(the gift {event['gift_id']} was reversed)"
        case "share" | "follow" | "member" as what:
            return f"{who} {_DID[what]}"
        case "viewers":
            return f"{event['count']:,} watching"
        case "gap":
            return "(events are missing here: the log does not reach back so far)"
        case "stream_end":
            return "The stream has ended."
    return ""


_DID: dict[Literal["share", "follow", "member"], str] = {
    "share": "shared the stream",
    "follow": "follows the host",
    "member": "came in",
}


def _describe_gift(event: Event, who: str) -> str:
    row = f", {event['repeat_count']:,} in a row" if event["repeat_count"] > event["count"] else ""
    said = f': "{event["message"]}"' if event["message"] else ""
    return f"{who} sent {event['count']:,} × {event['gift']['name']} ({event['coins']:,} coins){row}{said}"


def plain(text: str) -> str:
    """Without what moves a terminal's cursor: names and texts are what strangers made them."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
