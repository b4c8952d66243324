"""Every accepted gift by its key: debited once, credited once, under the seq that its sender was told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, assert_never

from gifting.bench.options import Audit
from gifting.config import Settings
from gifting.ledger.connect import connect
from gifting.ledger.entries import (
    AccountChange,
    Clawback,
    Credit,
    Debit,
    Entry,
    GiftReversal,
    Grant,
    Payout,
    Purchase,
    Reversal,
)
from gifting.ledger.keys import Keys
from gifting.ledger.stream import Span, read_ledger
from gifting.load.counters import decode_seqs
from gifting.load.plan import SenderReport

KEY_SIZE: Final = 16
CALL_WITHIN_S: Final = 60.0

NAMED_MAX: Final = 5
"""Gifts of one kind of discrepancy that are named."""

Gift = tuple[str, int]
"""Room and seq."""


async def check_keys(audit: Audit, url: str, reports: Iterable[SenderReport]) -> None:
    """Hold what the senders were told against the ledger in Redis at ``url``, which nobody writes to any more."""
    told = {key: gift for report in reports for key, gift in accepted(report)}
    settings = Settings()
    keys, redis = Keys(settings.key_prefix, settings.partitions), connect(url, CALL_WITHIN_S)
    try:
        entries = [entry async for _, _, entry in read_ledger(redis, dict.fromkeys(keys.bases, Span()))]
    finally:
        await redis.aclose()
    compare(audit, told, entries)


def accepted(report: SenderReport) -> Iterator[tuple[bytes, Gift]]:
    """Each gift that was accepted: its key, and where."""
    for room, data in report.keys.items():
        seqs = decode_seqs(report.seqs[room])
        for place, seq in enumerate(seqs):
            yield data[place * KEY_SIZE : (place + 1) * KEY_SIZE], (room, seq)


def compare(audit: Audit, told: dict[bytes, Gift], entries: Iterable[Entry]) -> None:
    """Add what differs between ``told`` and the ledger's entries."""
    debits: defaultdict[bytes, int] = defaultdict(int)
    credits: defaultdict[bytes, list[Gift]] = defaultdict(list)
    for entry in entries:
        match entry:
            case Debit():
                debits[entry.key] += 1
            case Credit():
                credits[entry.key].append((entry.room, entry.seq))
            case Grant() | Purchase() | Reversal() | GiftReversal() | Clawback() | Payout() | AccountChange():
                pass
            case _:
                assert_never(entry)
    found = {
        "was accepted and not debited once": [key for key in told if debits.get(key, 0) != 1],
        "was accepted and not credited once, where its sender was told": [
            key for key, gift in told.items() if credits.get(key) != [gift]
        ],
        "was charged, and its sender never told": [key for key in debits if key not in told],
    }
    for what, keys in found.items():
        names = ", ".join(key.hex() for key in keys[:NAMED_MAX])
        if keys:
            audit.problems.append(f"{len(keys):,} gifts of which each {what}: {names}.")
    audit.checked.append(f"{len(told):,} accepted gifts are in the ledger once each, by key and seq")
