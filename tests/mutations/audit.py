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
        ("        for debit in self.debits.values():\n", "        for debit in ():\n"),
        ("        for credit, _ in self.credits.values():\n", "        for credit, _ in ():\n"),
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
        "gifting/ledger/audit/cut_reader.py",
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
    *of(
        "gifting/ledger/audit/pairs.py",
        "audit_pairs audit_halves",
        ("    return min(mark.seq, _floor(epochs, mark.epoch, mark.seq))\n", "    return mark.seq\n"),
        ("blob.seq <= _floor(mark.epochs, own, blob.seq)", "blob.seq"),
        ("        if seq > expected:\n", "        if False:\n"),
    ),
    *of(
        "gifting/ledger/audit/crossing.py",
        "audit_pairs audit_halves",
        ("            if not half.born:\n", "            if False:\n"),
        ("passed(mark, given.epochs)) > given.seq:", "passed(mark, given.epochs)) > 9**9:"),
        ("and blob.raw != raw:", "and not raw:"),
        ("            debit = books.debits.pop(name, None)\n", "            debit = books.debits.get(name)\n"),
        ("            if paid != gift[1:]:\n", "            if False:\n"),
        ("                case Debit() if books.meet(base, entry):\n", "                case Debit() if False:\n"),
        ("                case Credit() if books.meet(base, entry):\n", "                case Credit() if False:\n"),
        ("                    books.reversals.later(entry)\n", "                    pass\n"),
    ),
    *of(
        "gifting/ledger/audit/fences.py",
        "audit_pairs audit_halves",
        ("        if credit.ts > self._until.get(pair, -inf) + SKEW:\n", "        if pair not in self._until:\n"),
        ("            if numbers > self._found[pair]:\n", "            if False:\n"),
        ("if floor < mark.seq and (source, mark.seq) not in known:", "if False:"),
    ),
    *of(
        "gifting/ledger/cluster/confirmed.py",
        "cluster/confirmed",
        ("        if lacks:\n            raise", "        if False:\n            raise"),
        ("        if lacks:  # now it is known how many there are\n", "        if False:\n"),
        (
            "listed=every)",
            "listed=True)",
        ),
        (
            "listed=every)",
            "listed=False)",
        ),
        ("if self._lineages.get(base) != lineage]", "if not lineage]"),
    ),
)
