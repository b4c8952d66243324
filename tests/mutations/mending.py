"""Holes between two partitions: which gifts they are, what contradicts that, and how they are shown."""

from __future__ import annotations

from tests.mutations.mutant import of

SCRIPTS = "ledger/mending mending_scripts"

ARCHIVED = "mending_archived::test_gifts_that_the_archive_alone_has_are_credited[sqlite]"

MUTANTS = (
    *of(
        "gifting/ledger/mending/gaps.py",
        SCRIPTS,
        ("        self._next -= 1\n", "        self._next -= len(debits)\n"),
        ("        if number < 1:\n", "        if False:\n"),
        ("        if blob is not None and [gift", "        if False and [gift"),
        ("        self.done = 0 < number <= gap.footing\n", "        self.done = number <= gap.footing + 1\n"),
        ("        if not self.done and self._next > 0:\n", "        if False:\n"),
        ("        if gap is not None and not gap.fenced:\n", "        if gap is not None:\n"),
        ("        if gap is not None and not gap.fenced:\n", "        if False:\n"),
        ("        for source, key in self._footed:\n", "        for source, key in ():\n"),
        ("            fenced = passed(mark, given.epochs) < mark.seq or any(", "            fenced = any("),
        (" if one.base < number) or (UNKNOWN,)", ") or (UNKNOWN,)"),
        (" or (UNKNOWN,)\n", "\n"),
        ("for one in (*older, *self.given.epochs)", "for one in self.given.epochs"),
    ),
    *of(
        "gifting/ledger/mending/finding.py",
        SCRIPTS,
        ("            if await self._epochs() == epochs:\n", "            if True:\n"),
        ("        for problem in findings.problems:\n", "        for problem in ():\n"),
        (
            "        if self._older is None:\n            raise ArchiveNeeded(",
            "        if self._older is None:\n            print(",
        ),
    ),
    *of(
        "gifting/ledger/mending/finding.py",
        ARCHIVED,
        ('before = trimmed if first == "0-0" else', 'before = first if first == "0-0" else'),
    ),
    *of(
        "gifting/cli/partitions.py",
        ARCHIVED,
        ("return await mender.find(items.back)", "return await mender.find()"),
    ),
    *of(
        "gifting/ledger/mending/mender.py",
        SCRIPTS,
        ("        if kept is not None:\n            return read_blob(kept.raw)\n", ""),
        ("            if told.how not in DONE:\n", "            if False:\n"),
        ("{gap.destination: epoch}, completions=known)", "{gap.destination: epoch})"),
        ("range(gap.footing + 1, gap.last + 1)", "range(gap.missing[0][0], gap.missing[0][1] + 1)"),
    ),
    *of(
        "gifting/ledger/mending/blob.py",
        SCRIPTS,
        ("        if digest == gift_digest(", "        if True or digest == gift_digest("),
        ("        if digest == gift_digest(", "        if False and digest == gift_digest("),
        (" or face.profile or _bare", " or _bare"),
        ('"coins": debit.coins // debit.gifts', '"coins": debit.coins'),
        ("sent, 0, shown or False))", "sent, 0, False))"),
    ),
    *of(
        "gifting/archive/ledger_items.py",
        "trimmed_books",
        ("                    if following and last != following - 1:\n", "                    if False:\n"),
        ("        if following > 1:\n", "        if False:\n"),
        ("                    if item_order(item_id) < item_order(before):\n", "                    if True:\n"),
        ("in reversed(self._periods)", "in self._periods"),
    ),
)
