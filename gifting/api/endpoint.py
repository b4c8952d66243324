"""What one endpoint is: a row from which its route and its place in the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from gifting.api.access import Access
from gifting.api.call import Call
from gifting.api.words import Word


class Done(Struct):
    ok: Literal[True]


class File(Struct):
    """An answer that is no JSON: what was asked for in another format. ``kind``: its media type."""

    data: bytes
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the table.

    Args:
        access: who may.
        query: whole numbers: name, default, most.
        words: texts: name, and what may be said.
        cost: in messages of the caller's allowance (one is worth about half a ms); 0: free, and nobody is asked who.
        page: items of the query's ``limit`` that cost one message more; 0: they cost nothing.
        raw: bytes that the body may have, which is then taken as it is, unread; 0: it is JSON, of the usual size.
        act: what the operator's log says was done; '' where nothing is.
    """

    method: str
    path: str
    summary: str
    access: Access | None
    handler: Callable[[Call], Awaitable[Struct]]
    reply: type[Struct]
    body: type[Struct] | None = None
    query: tuple[tuple[str, int, int], ...] = ()
    words: tuple[tuple[str, Word], ...] = ()
    status: int = 200
    cost: float = 1
    page: int = 0
    raw: int = 0
    act: str = ""
