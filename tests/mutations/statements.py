"""Statements of creators that do not tie, are of another month, or of somebody else; what waits and is not seen."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/model/statement.py",
        "model/statement archive/statement",
        ("    return (2 * self.diamonds * BASIS + kept) // (2 * kept)\n", "    return self.diamonds\n"),
        ("        closing.debt += line.debt\n", ""),
        ("        at = min(max(at, self.starts), self.ends - 1)\n", ""),
        ("    until_ms = min(now, period.ends)\n", "    until_ms = now\n"),
        ("        then = as_of(known, until_ms)\n", "        then = known\n"),
    ),
    *of(
        "gifting/model/payout_times.py",
        "model/statement",
        ('rejected=payout.rejected and before["decided_at"] > 0)', "rejected=payout.rejected)"),
    ),
    *of(
        "gifting/archive/statement.py",
        "archive/statement",
        ("        if sealed and end != found.closing:\n", "        if False:\n"),
        (" and line.seq > last and", " and"),
        ("        if line.owner == creator and", "        if"),
        (
            "        span = creator, times, after, min(last, cursor.seq)\n",
            "        span = creator, times, after, last + 1\n",
        ),
    ),
    *of(
        "gifting/archive/statement_rows.py",
        "archive/statement",
        (" seq > after,", " seq >= after,"),
        ('        closings.c.book.in_(("diamonds", "host_debt")),\n', '        closings.c.book.in_(("diamonds",)),\n'),
        (
            "    settles: ColumnElement[bool] = entries.c.debt < 0\n",
            "    settles: ColumnElement[bool] = entries.c.debt < -(1 << 62)\n",
        ),
    ),
    *of(
        "gifting/ledger/waiting.py",
        "economy/waiting",
        ("        if abs(now - self._read_at) < EVERY:\n", "        if False:\n"),
        ('            pipe.zrangebyscore(f"{base}:payouts", IN_REVIEW, "+inf", 0, PAGE)\n', ""),
        ("key=lambda one: waits_for(one)[1])", "key=lambda one: -waits_for(one)[1])"),
        ("    if payout.stuck_at:\n", "    if False:\n"),
        ("    return str(State.REQUESTED), payout.decided_at", "    return str(State.PROCESSING), payout.decided_at"),
    ),
    *of(
        "gifting/api/creators.py",
        "transport/notices",
        (
            "    if reply.destination is not None and reply.destination.since == now:\n",
            "    if reply.destination is not None:\n",
        ),
        ("to.account[-ENDING:]", "to.account"),
    ),
)
