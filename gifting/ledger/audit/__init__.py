"""The audit: rebuilds every balance from the ledger streams and holds it, and the room logs, against what Redis says.

Live or stopped. One MULTI/EXEC takes a consistent cut: all balances, the state and ranking of each live room, and
where each stream ends; the streams are then read up to there, in pages. What must hold: balances, diamonds and
remainders follow from the entries; keys are unique, and kept as long as they could be used again; each debit has its
credit, each credit its event, each event its price; each order is issued and taken back as its own facts ask for, and
each payout leaves and comes back so; nothing is negative or too large; coins are conserved; room logs are gapless, and
their streaks count right and end once.

Of books that are trimmed (``trimming.py``) the older part is in their archive, which the audit may not import: who
calls it gives its items. Redis has counted all that were ever added to a stream, so what is in neither is noticed.

What it costs: the cut holds Redis for as long as it takes to copy all balances and the rankings of live rooms. This
process keeps about 190 bytes per gift and the books of all users, and computes some 30 µs per gift. It needs one Redis:
a transaction can't span a cluster.
"""

from __future__ import annotations

from gifting.errors import BadSetting
from gifting.ledger.audit import about
from gifting.ledger.audit.balances import compare
from gifting.ledger.audit.books import Books
from gifting.ledger.audit.causes import Problem
from gifting.ledger.audit.clawbacks import audit_clawbacks
from gifting.ledger.audit.cut import take_cut
from gifting.ledger.audit.find import find_books
from gifting.ledger.audit.kept import audit_kept
from gifting.ledger.audit.orders import audit_orders
from gifting.ledger.audit.payouts import audit_payouts
from gifting.ledger.audit.report import AuditReport, Findings
from gifting.ledger.audit.rooms import audit_rooms
from gifting.ledger.audit.trimmed import counted, refuse_trimmed
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.stream import Older, Span, read_entries, read_items

__all__ = ["AuditReport", "Problem", "audit", "find_books"]


async def audit(redis: BinaryRedis, keys: Keys, older: Older | None = None) -> AuditReport:
    """Check everything that must always hold; the report names what does not, by cause.

    Args:
        older: who has the ledger's items from the first one on, if its streams are trimmed.

    Raises:
        ArchiveNeeded: they are, and nobody has.
        BadSetting: there are no books under ``keys``, or over another number of partitions.
        RedisError, OSError: Redis could not be read.
    """
    findings = Findings()

    def broken(base: str, item_id: str, why: str) -> None:
        findings.found("ledger_entry_broken", f"{base}:ledger {item_id}: {why}.", about.stream(base))

    cut = await take_cut(redis, keys, findings)
    if older is None:
        await refuse_trimmed(redis, keys)
    if (partitions := cut.meta.get("partitions")) != str(len(keys.bases)):
        raise BadSetting(f"There are no such books: {keys.meta} says {partitions} partitions, not {len(keys.bases)}.")
    books = Books(keys, findings)
    spans = {base: Span(last=end) for base, end in cut.ledger_ends.items()}
    items = counted(read_items(redis, spans, older=older), cut, findings)
    async for base, _, entry in read_entries(items, broken):
        books.enter(base, entry)
    if older is None:
        await refuse_trimmed(redis, keys)  # meanwhile, perhaps
    books.close()
    compare(keys, books.balances, cut.balances, cut.days_since, findings)
    await audit_orders(redis, keys, cut, books.orders.books, findings)
    await audit_payouts(redis, keys, cut, books.payouts.books, findings)
    await audit_clawbacks(redis, keys, cut, books.reversals.clawed.values(), findings)
    await audit_kept(redis, keys, cut, books.known, findings)
    await audit_rooms(redis, keys, cut, books.rooms, findings)
    findings.users = len(cut.balances.coins.keys() | cut.balances.diamonds.keys())
    return findings.report()
