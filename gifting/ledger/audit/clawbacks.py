"""What is kept of claw-backs against the books: each that the ledger tells of is known again, and for what it took.

They are read after the cut; what is then ahead of the books must be what they tell after the cut.
"""

from __future__ import annotations

from collections.abc import Iterable

from gifting.ledger.audit import about
from gifting.ledger.audit.cut import Cut
from gifting.ledger.audit.places import Place, entered_since, pages
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.values import unpack_all
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Clawback
from gifting.ledger.entry_parser import UNREADABLE
from gifting.ledger.keys import Keys
from gifting.model.reversals import SETTLED, Taken

Name = tuple[str, bytes]
"""A host, and the key of a reversal."""


async def audit_clawbacks(
    redis: BinaryRedis, keys: Keys, cut: Cut, clawed: Iterable[Clawback], findings: Findings
) -> None:
    """Compare what is kept with what was entered up to the cut."""
    kept: dict[Name, bytes] = {}
    async for page in pages(redis, keys, "clawbacks"):
        kept |= await _read(redis, page)
    told = {_name(one): _taken(one) for one in clawed}
    later = {
        _name(one): _taken(one)
        async for one in entered_since(redis, keys, cut)
        if isinstance(one, Clawback) and one.gift != SETTLED
    }
    for (host, key), taken in told.items():
        if (host, key) not in kept:
            sentence = f"{taken} was taken of {host} by reversal {key.hex()}, which would be done again."
            findings.found("clawback_missing", sentence, about.earnings(host))
    for (host, key), record in kept.items():
        entered = told.get((host, key), later.get((host, key)))
        if entered is None or _read_taken(record) != entered:
            sentence = f"Reversal {key.hex()} is kept as {_read_taken(record)} of {host}; the ledger has {entered}."
            findings.found("clawback_differs", sentence, about.earnings(host))


async def _read(redis: BinaryRedis, page: list[Place]) -> dict[Name, bytes]:
    pipe = redis.pipeline(transaction=False)
    for place in page:
        pipe.hgetall(place.key)
    found = zip(page, await pipe.execute(), strict=True)
    return {(place.owner, key): record for place, records in found for key, record in records.items()}


def _name(entry: Clawback) -> Name:
    return entry.host, entry.key


def _taken(entry: Clawback) -> Taken:
    return Taken(entry.diamonds, entry.debt, entry.borne)


def _read_taken(record: bytes) -> Taken | None:
    """What a record says; None if it can't be read."""
    try:
        return Taken(*unpack_all(record))
    except (*UNREADABLE, TypeError):
        return None
