"""The audit: rebuilds every balance from the ledger streams and holds it, and the room logs, against what Redis says.

Live or stopped. One MULTI/EXEC takes a consistent cut: all balances, the state and ranking of each live room, and
where each stream ends; the streams are then read up to there, in pages. What must hold: balances, diamonds and
remainders follow from the entries; keys are unique, and kept as long as they could be used again; each debit has its
credit, each credit its event, each event its price; each order is issued and taken back as its own facts ask for, and
each payout leaves and comes back so; nothing is negative or too large; coins are conserved; room logs are gapless, and
their streaks count right and end once.

Of books that are trimmed (``trimming.py``) the older part is in their archive, which the audit may not import: who
calls it gives its items. Redis has counted all that were ever added to a stream, so what is in neither is noticed.

It may begin at the closings of sealed months (``before.py``), which are in that archive too.

What it costs: the cut holds Redis for as long as it takes to copy all balances and the rankings of live rooms. This
process keeps about 190 bytes per gift that it reads and the books of all users, and computes some 30 µs per gift.

A transaction can't span a cluster: there each partition is cut for itself, and what crosses them is proved with what is
between (``crossing.py``).
"""

from __future__ import annotations

from functools import partial
from typing import Final

from gifting.errors import BadSetting
from gifting.ledger.audit import about
from gifting.ledger.audit.balances import compare
from gifting.ledger.audit.before import Before, begin, complete, join
from gifting.ledger.audit.books import Books
from gifting.ledger.audit.causes import Problem
from gifting.ledger.audit.clawbacks import audit_clawbacks
from gifting.ledger.audit.crossing import After, Crossing
from gifting.ledger.audit.cut import Cut
from gifting.ledger.audit.fences import read_fences
from gifting.ledger.audit.find import find_books
from gifting.ledger.audit.halves import read_after
from gifting.ledger.audit.kept import audit_kept, oldest_kept
from gifting.ledger.audit.orders import audit_orders
from gifting.ledger.audit.payouts import audit_payouts
from gifting.ledger.audit.places import entered_between
from gifting.ledger.audit.report import AuditReport, Findings
from gifting.ledger.audit.rooms import audit_rooms
from gifting.ledger.audit.taking import take_cut
from gifting.ledger.audit.trimmed import counted, refuse_trimmed
from gifting.ledger.cluster.confirmed import confirmation
from gifting.ledger.confirmed import Confirmation, Unsettled
from gifting.ledger.connect import FAILURES, BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.stream import Older, Span, read_entries, read_items

TRIES: Final = 5
"""Audits of a cluster whose masters change, until it is said that it can't be audited."""

__all__ = ["AuditReport", "Problem", "audit", "audit_since", "find_books"]


async def audit(redis: BinaryRedis, keys: Keys, older: Older | None = None) -> AuditReport:
    """Check everything that must always hold; the report names what does not, by cause.

    Args:
        older: who has the ledger's items from the first one on, if its streams are trimmed.

    Raises:
        ArchiveNeeded: they are, and nobody has.
        BadSetting: there are no books under ``keys``, or over another number of partitions.
        RedisError, OSError: Redis could not be read.
    """
    held = confirmation(redis, keys, 0)
    for _ in range(TRIES):
        await held.begin()
        findings = Findings()
        report = await _audit(redis, keys, Books(keys, findings), findings, older)
        if report.clean or await _is_held(held):
            return report
    raise Unsettled("Partitions came to other masters again and again while they were audited.")


async def _is_held(held: Confirmation) -> bool:
    """Whether each partition was one history: a failover may take back what a cut has, before its ledger is read."""
    try:
        await held.hold()
    except FAILURES:
        return False
    return True


async def audit_since(redis: BinaryRedis, keys: Keys, before: Before) -> AuditReport | None:
    """The same, from closings on; None if anything is not as it must be, which :func:`audit` then tells.

    Raises as :func:`audit`, and what ``before`` does.
    """
    findings = Findings()
    books = Books(keys, findings)
    if not await begin(books, findings, before, await oldest_kept(redis, keys)):
        return None
    report = await _audit(redis, keys, books, findings, before.newer, before)
    return report if report.clean else None


async def _audit(
    redis: BinaryRedis, keys: Keys, books: Books, findings: Findings, older: Older | None, before: Before | None = None
) -> AuditReport:
    def broken(base: str, item_id: str, why: str) -> None:
        findings.found("ledger_entry_broken", f"{base}:ledger {item_id}: {why}.", about.stream(base))

    cut = await take_cut(redis, keys, findings)
    after = await read_after(redis, keys, findings) if keys.apart else None
    if after is not None:
        books.fences = read_fences(keys, cut.halves, after.fences)
    if older is None:
        await refuse_trimmed(redis, keys)
    if (partitions := cut.meta.get("partitions")) != str(len(keys.bases)):
        raise BadSetting(f"There are no such books: {keys.meta} says {partitions} partitions, not {len(keys.bases)}.")
    recalled = books.known.names()
    begun = before.last if before else {}
    spans = {base: Span(f"({begun[base]}" if base in begun else "-", end) for base, end in cut.ledger_ends.items()}
    items = counted(read_items(redis, spans, older=older), cut, findings, before.read if before else {})
    async for base, _, entry in read_entries(items, broken):
        books.enter(base, entry)
    if older is None:
        await refuse_trimmed(redis, keys)  # meanwhile, perhaps
    if before is not None:
        await join(books, findings, before, recalled)
    crossing = await _cross(redis, keys, cut, after, books, findings) if after is not None else None
    books.close()
    if crossing is not None:
        crossing.close(books)
    compare(keys, books.balances, cut.balances, cut.days_since, findings)
    await audit_orders(redis, keys, cut, books.orders.books, findings)
    await audit_payouts(redis, keys, cut, books.payouts.books, findings)
    await audit_clawbacks(redis, keys, cut, books.reversals.clawed.values(), findings)
    await audit_kept(redis, keys, cut, books.known, findings)
    rest = partial(complete, redis, before) if before else None
    await audit_rooms(redis, keys, cut, books.rooms, findings, rest)
    findings.crossed = crossing.crossed if crossing else None
    findings.users = len(cut.balances.coins.keys() | cut.balances.diamonds.keys())
    return findings.report()


async def _cross(redis: BinaryRedis, keys: Keys, cut: Cut, after: After, books: Books, findings: Findings) -> Crossing:
    """What crosses partitions that were cut one after another."""
    crossing = Crossing(keys, cut.halves, after, findings)
    crossing.check()
    crossing.take_under_way(books)
    await crossing.enter(books, entered_between(redis, keys, cut, after.ends))
    return crossing
