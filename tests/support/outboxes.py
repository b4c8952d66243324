"""What outboxes of a cluster have, and what of it is still to be credited."""

from __future__ import annotations

from gifting.ledger.cluster.owed import keys_of, read_marks, read_owed
from gifting.ledger.ledger import Ledger


async def uncredited(ledger: Ledger, *bases: str) -> int:
    """Items in the outboxes of these partitions, all if none is named, that are not wholly credited."""
    items = [item for base in bases or ledger.keys.bases for item in await ledger.redis.xrange(f"{base}:outbox")]
    marks = read_marks([await ledger.redis.hgetall(f"{base}:marks") for base in ledger.keys.bases])
    return sum(not one.is_credited(marks) for one in read_owed(items))


async def gifts_in_outboxes(ledger: Ledger) -> int:
    """Those that are credited and kept too."""
    items = [item for base in ledger.keys.bases for item in await ledger.redis.xrange(f"{base}:outbox")]
    return sum(len(keys_of(blob)) for one in read_owed(items) for _, blob in one.blobs)
