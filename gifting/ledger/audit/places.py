"""Keys that one user or host has alone, found without holding Redis, in pages; and what is told since the cut."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from gifting.ledger.audit.cut import Cut
from gifting.ledger.audit.values import text
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


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Record = TypeVar("Record", bound=_Named)


def read_record(
    place: Place, name: str, value: bytes, unpack: Callable[[bytes], Record], owner: Callable[[Record], str]
) -> tuple[Record | None, str]:
    """What an owner has under a name; or None, and why it can't be that."""
    try:
        record = unpack(value)
    except msgspec.MsgspecError as error:
        return None, str(error)
    if (record.id, owner(record)) == (name, place.owner):
        return record, ""
    return None, f"it is {record.id} of {owner(record)}"


async def where_they_lead(redis: BinaryRedis, keys: Keys, references: Sequence[str]) -> list[bytes | None]:
    """What is kept of each reference: its owner and what it names there."""
    pipe = redis.pipeline(transaction=False)
    for name in references:
        pipe.hget(keys.references(name), name)
    found: list[bytes | None] = await pipe.execute()
    return found


async def pages(redis: BinaryRedis, keys: Keys, kind: str) -> AsyncIterator[list[Place]]:
    """All keys ``{pNN}:kind:owner``, each at least once."""
    bases, form = set(keys.bases), re.compile(rf"(.*?\{{p[^}}]+\}}):{kind}:(.+)", re.DOTALL)
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


async def entered_between(
    redis: BinaryRedis, keys: Keys, cut: Cut, ends: Mapping[str, str]
) -> AsyncIterator[tuple[str, Entry]]:
    """What the ledger tells after the cut, up to the items ``ends``."""
    spans = {base: Span.after(cut.ledger_ends.get(base, "0-0"))._replace(last=end) for base, end in ends.items()}
    async for base, _, entry in read_ledger(redis, spans, broken=lambda *_: None):
        yield base, entry


async def entered_since(redis: BinaryRedis, keys: Keys, cut: Cut) -> AsyncIterator[Entry]:
    """What the ledger tells after the cut."""
    spans = {base: Span.after(cut.ledger_ends.get(base, "0-0")) for base in keys.bases}
    async for _, _, entry in read_ledger(redis, spans, broken=lambda *_: None):
        yield entry
