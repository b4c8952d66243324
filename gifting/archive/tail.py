"""What of a partition's ledger is in Redis and not in the archive yet, as the rows that it will be."""

from __future__ import annotations

from typing import Final

from gifting.archive.rows import Cursor, Page, turn
from gifting.errors import ArchiveUnavailable
from gifting.ledger.calls import translated
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.stream import Span, read_items

TAIL_MAX: Final = 8 << 20
"""Bytes that a partition may have in Redis and not in the archive yet; with more, the archive is too far behind."""


async def read_tail(redis: BinaryRedis, keys: Keys, archived: Cursor) -> Page:
    """What comes after ``archived``.

    Raises:
        ArchiveUnavailable: it is more than :data:`TAIL_MAX`.
        Unavailable: Redis can't be asked.
    """
    found: list[tuple[str, bytes | None]] = []
    left = TAIL_MAX
    with translated():
        async for item in read_items(redis, {keys.bases[archived.partition]: Span.after(archived.item_id)}):
            left -= len(item.data or b"")
            if left < 0:
                raise ArchiveUnavailable("It is too far behind.")
            found.append((item.id, item.data))
    return turn(archived, found, len(keys.bases))
