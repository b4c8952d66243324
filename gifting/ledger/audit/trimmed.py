"""Whether the audit has read all of the ledger, of which Redis may have the newer part only."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping

from gifting.errors import ArchiveNeeded
from gifting.ledger.audit import about
from gifting.ledger.audit.cut import Cut
from gifting.ledger.audit.report import Findings
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.stream import Item


async def refuse_trimmed(redis: BinaryRedis, keys: Keys) -> None:
    """Raises ArchiveNeeded where a stream is trimmed."""
    for base in keys.bases:
        if before := await redis.get(f"{base}:trimmed"):
            since = f"{base}:ledger begins with {before.decode()}"
            raise ArchiveNeeded(f"What is older is in the archive of these books only: {since}.")


async def counted(
    items: AsyncIterator[Item], cut: Cut, findings: Findings, before: Mapping[str, int]
) -> AsyncIterator[Item]:
    """All of them, up to the cut; what streams were ever added and is not among them, nor was ``before``, is told at
    the end.
    """
    read = Counter(before)
    async for item in items:
        read[item.partition] += 1
        yield item
    for base, stream in cut.streams.items():
        if lost := stream.added - read[base]:
            sentence = f"{base}:ledger has lost {lost} of {stream.added} items, the last was {stream.deleted}."
            findings.found("ledger_items_deleted", sentence, about.stream(base))
