"""The audit from closings: what it would no longer notice, or read in vain."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/audit/carried.py",
        "archive/checkpoint",
        ("        self.counts[ODD] += not fits\n", ""),
        ("        return (debited - credited) % ROUND == 0\n", "        return True\n"),
    ),
    *of(
        "gifting/ledger/audit/before.py",
        "archive/checkpoint",
        ("findings.forget() - _OF_BALANCES:\n", "not findings.forget():\n"),
        ("before.carried.counts[ODD] or rooms is None", "rooms is None"),
        ("            books.known.recall(books.known.name(base, key), side)\n", "            pass\n"),
        ("        older = await before.credited(", "        await before.credited("),
        (
            "    for kind, side in SIDES.items():\n        for base",
            "    for kind, side in {}.items():\n        for base",
        ),
    ),
    *of(
        "gifting/ledger/audit/replay.py",
        "archive/checkpoint",
        ("fits = balances.earn(", "fits = 0 <= balances.earn("),
    ),
    *of(
        "gifting/archive/checkpoint.py",
        "archive/checkpoint",
        ("    if wrong := is_signed(seal, believed):\n", '    if wrong := "":\n'),
        ("    if seal.place not in outside:\n", "    if False:\n"),
        ("for book, name, amount in rows}) != seal.state_hash:\n", 'for book, name, amount in rows}) == b"":\n'),
        ("    if await _hash(connection, sealed) != seal.hash:\n", "    if False:\n"),
        ("        if seal.place in outside or seal.made < now - SETTLE:\n", "        if True:\n"),
        ("        found.carried.counts[ODD] += seq <=", "        found.carried.counts[ODD] += 0 * seq <"),
    ),
)
