"""Mutants of history: what is told twice, of others, or as a spreadsheet would run it."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/api/sheet.py",
        "api/sheet",
        ("    if isinstance(value, str) and value.startswith(_FORMULA):\n", "    if False:\n"),
        ('    if following := getattr(reply, "next", ""):\n', "    if False:\n"),
    ),
    *of(
        "gifting/ledger/lookup.py",
        "trimmed_books",
        ("                if (given := await self._archived(user, raw)) is None:\n", "                if True:\n"),
        ("        except errors.ArchiveUnavailable:\n", "        except errors.NoArchive:\n"),
    ),
    *of(
        "gifting/archive/gifts.py",
        "trimmed_books",
        (" and debit.user == user:\n", ":\n"),
    ),
    *of(
        "gifting/archive/history.py",
        "archive/history",
        ("if line.seq > last and line.owner == owner", "if line.owner == owner"),
        (" and line.owner == owner and", " and"),
    ),
)
