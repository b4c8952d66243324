"""The chain and the seals of an archive: what nobody would notice any more."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/archive/verify.py",
        "attack_archive",
        ("        if row.hash != expected:\n", "        if False:\n"),
        ("        elif not wrong and seal.hash != self._hash:\n", "        elif False:\n"),
        ("        if cursor.period > self._period and cursor.seq:\n", "        if False:\n"),
        ("        elif one is not None and other is None:\n", "        elif False:\n"),
    ),
    *of(
        "gifting/archive/verify.py",
        "archive_machine::test_a_partition_s_first_item_may_be_late",
        ("        return max(due, int(row.period)) if may_be_later else due\n", "        return due\n"),
        ("row.seq == 1 and not (self._sealed and self._sealed[0].period < row.period)", "row.seq == 1"),
    ),
    *of(
        "gifting/archive/sealing.py",
        "sealing",
        ("        while ends(period) + MARGIN <= now:\n", "        while ends(period) - MARGIN * 9999 <= now:\n"),
        ("        return not coming or month_of_item(coming[0][0].decode()) > period\n", "        return True\n"),
    ),
    *of("gifting/model/chain.py", "chain", ("len(name), name, data", "0, name, data")),
    *of(
        "gifting/model/periods.py",
        "periods",
        ("    return max(month_of_item(item_id), opened)\n", "    return month_of_item(item_id)\n"),
    ),
)
