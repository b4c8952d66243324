"""The audit: what it no longer sees."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/audit/log.py",
        "audit",
        ("        if price * count != coins:\n", "        if False:\n"),
        ("        if book.digests[place] not in (UNKNOWN, said):\n", "        if False:\n"),
        ("        self._pass_credits(self.next)\n", ""),
        ("        if self.next and first != self.next:\n", "        if False:\n"),
    ),
    *of(
        "gifting/ledger/audit/books.py",
        "audit audit_causes",
        ("        for debit in self._debits.values():\n", "        for debit in ():\n"),
        ("        for credit, _ in self._credits.values():\n", "        for credit, _ in ():\n"),
        ("        if left < 0 and user not in self._overdrawn:\n", "        if left < 0:\n"),
    ),
    *of(
        "gifting/ledger/audit/known_keys.py",
        "audit audit_causes",
        ("        return not before & entered\n", "        return True\n"),
        ("            self._known[name] = known | kept\n", "            pass\n"),
        ("        return key + self._numbers[base]\n", '        return key + b"\\0"\n'),
    ),
    *of(
        "gifting/ledger/audit/kept.py",
        "audit",
        ("    return status == Status.OK and not entered\n", "    return not entered\n"),
        ("key_time(key) // kind.width == bucket.number", "True"),
        ("    await _find_later(redis, keys, cut, unknown)\n", ""),
        ("            if key_time(key) >= floors[base, kind.name]:\n", "            if True:\n"),
        ("    elif entered and status != Status.OK:\n", "    elif False:\n"),
        ("    if status not in _STATUSES or len(key) != 16:\n", "    if len(key) != 16:\n"),
    ),
    *of(
        "gifting/ledger/audit/cut.py",
        "audit",
        ("        if self._keys.base(owner) != base:\n", "        if False:\n"),
    ),
    *of(
        "gifting/ledger/stream.py",
        "stream",
        ('return cls(f"({item_id}")', "return cls(item_id)"),
        ("            heapreplace(heads, (following, place))\n", "            heads[0] = (following, place)\n"),
        (
            "        self._more = len(page) == self._count\n",
            "        self._more = bool(self._more and len(page) > 4)\n",
        ),
        (", 2 * self._count, PAGE_ITEMS)", ", 2 * self._count)"),
        ("max(self._count * PAGE // max(size, 1), 1), 2", "PAGE_ITEMS, 2"),
        ("        self._pause = self._rest * (time() - began)\n", ""),
        ("        elif wanted is None or wanted(data):\n", "        else:\n"),
        ('"" if all(map(plausible, entries)) else', '"" if entries else'),
        ("        if data is None:\n            broken", "        if data is None:\n            str"),
    ),
    *of(
        "gifting/ledger/entries.py",
        "entries stream",
        ("len(entry.key) != 16", "len(entry.key) > 16"),
    ),
    *of(
        "gifting/ledger/entry_parser.py",
        "entries stream",
        ("        yield _READERS[kind](*values)\n", "        yield _READERS.get(kind, _credit)(*values)\n"),
    ),
    *of(
        "gifting/ledger/audit/reversal_book.py",
        "ledger/reversals",
        ("if coins and entry.paid + entry.bonus != coins:", "if False:"),
        ("if diamonds and taken != diamonds:", "if False:"),
        ("if diamonds and taken != diamonds:", "if taken != diamonds:"),
    ),
)
