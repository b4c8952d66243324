"""What the session's tests run on, emptied, for tests that have no loop yet."""

from __future__ import annotations

from gifting.ledger.connect import connect

TIMEOUT = 10.0


async def empty(url: str) -> None:
    """Redis or a cluster."""
    async with connect(url, TIMEOUT) as client:
        await client.flushall()
