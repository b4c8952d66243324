"""The audit: rebuilds every balance from the ledger streams and holds it, and the room logs, against what Redis says.

Live or stopped. One MULTI/EXEC takes a consistent cut: all balances, the state and ranking of each live room, and
where each stream ends; the streams are then read up to there, in pages. What must hold: balances, diamonds and
remainders follow from the entries; keys are unique; each debit has its credit and each credit its event; nothing is
negative or too large; coins are conserved; room logs are gapless, and their streaks count right and end once.

What it costs: the cut holds Redis for as long as it takes to copy all balances and the rankings of live rooms. This
process keeps about 150 bytes per gift and the books of all users, and computes some 30 µs per gift. It needs one Redis:
a transaction can't span a cluster.
"""

from __future__ import annotations

from gifting.ledger.audit.books import Books
from gifting.ledger.audit.cut import take_cut
from gifting.ledger.audit.report import AuditReport, Findings, Problem
from gifting.ledger.audit.rooms import audit_rooms
from gifting.ledger.audit.stream import read_entries
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

__all__ = ["AuditReport", "Problem", "audit"]


async def audit(redis: BinaryRedis, keys: Keys) -> AuditReport:
    """Check everything that must always hold; the report names what does not.

    Raises:
        RedisError, OSError: Redis could not be read.
    """
    findings = Findings()
    cut = await take_cut(redis, keys, findings)
    books = Books(keys, findings)
    async for base, entry in read_entries(redis, cut.ledger_ends, findings):
        books.enter(base, entry)
    books.close()
    books.compare(cut)
    await audit_rooms(redis, keys, cut, books.rooms, findings)
    findings.users = len(cut.coins.keys() | cut.diamonds.keys())
    return findings.report()
