"""Keys that one user or host has alone, found without holding Redis, in pages; and what is told since the cut."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from gifting.ledger.audit.cut import Cut, text
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Entry
from gifting.ledger.keys import Keys
from gifting.ledger.stream import Span, read_ledger

PAGE: Final = 100
"""Keys of a page."""


class Place(NamedTuple):
    """The key of an owner in a partition."""

    base: str
    owner: str
    key: str


async def pages(redis: BinaryRedis, keys: Keys, kind: str) -> AsyncIterator[list[Place]]:
    """All keys ``{pNN}:kind:owner``, each at least once."""
    bases, form = set(keys.bases), re.compile(rf"(.*?\{{p\d+\}}):{kind}:(.+)", re.DOTALL)
    prefix = re.sub(r"([*?\[\]\\])", r"\\\1", keys.bases[0].rpartition("{")[0])
    page: list[Place] = []
    async for name in redis.scan_iter(match=f"{prefix}{{p*:{kind}:*", count=1000):
        found = form.fullmatch(text(name))
        if found and found[1] in bases:
            page.append(Place(found[1], found[2], text(name)))
        if len(page) == PAGE:
            yield page
            page = []
    yield page


async def entered_since(redis: BinaryRedis, keys: Keys, cut: Cut) -> AsyncIterator[Entry]:
    """What the ledger tells after the cut."""
    spans = {base: Span.after(cut.ledger_ends.get(base, "0-0")) for base in keys.bases}
    async for _, _, entry in read_ledger(redis, spans, broken=lambda *_: None):
        yield entry
