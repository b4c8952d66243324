"""The page at ``/``: what this is, and in a demo the rooms with links that open them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

_PAGE: Final = (Path(__file__).parent / "static" / "front" / "front.html").read_text(encoding="utf-8")
_ROOMS: Final = "<!-- rooms -->"


class ShortLink(NamedTuple):
    """``/d/NAME``, which opens a page with a token made when it is followed.

    Args:
        name: of the link.
        room: title of the room that it is about; links of one room follow each other.
        label: a word for the page.
        about: what it is for.
        target: makes the address it leads to, from the server's root and without the slash before it.
    """

    name: str
    room: str
    label: str
    about: str
    target: Callable[[], str]

    @property
    def path(self) -> str:
        return f"/d/{self.name}"


def front_page(links: Sequence[ShortLink]) -> str:
    """The page as HTML. What it is given is escaped."""
    rooms = "".join(_section(room, list(group)) for room, group in groupby(links, key=lambda link: link.room))
    return _PAGE.replace(_ROOMS, rooms)


def _section(room: str, links: Sequence[ShortLink]) -> str:
    items = "".join(
        f'<li><a href="{escape(link.path[1:])}">{escape(link.label)}</a>: {escape(link.about)}</li>' for link in links
    )
    return f'<section class="panel"><h2 dir="auto">{escape(room)}</h2><ul>{items}</ul></section>'
