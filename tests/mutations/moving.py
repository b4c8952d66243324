"""Books that are moved to a cluster: nothing is left out, and they are open in one place at most."""

from __future__ import annotations

from tests.mutations.mutant import of

STEPS = "cluster/moving_steps"
BOOKS = "cluster/moving_books"

MUTANTS = (
    *of(
        "gifting/ledger/moving/mover.py",
        STEPS,
        ("            if tally.alike and await self._source.leave(", "            if await self._source.leave("),
        ("        if arriving != own:\n", "        if False:\n"),
        ("            require_moved_to(moved, place)\n            return True\n", "            return True\n"),
        ('        if arriving not in ("", own):\n', "        if False:\n"),
        ("        if not arriving and await self._has_keys():\n", "        if False:\n"),
        ("            if same:\n", "            if False:\n"),
        ('            if not key.endswith(b":waited"):\n', "            if False:\n"),
        ("        place = await self._begin(_identity(meta))\n", '        place = "name"\n'),
    ),
    *of(
        "gifting/ledger/moving/source.py",
        STEPS,
        ("        if servers:\n", "        if False:\n"),
        ("        if not why.endswith(WHY):\n", "        if False:\n"),
        ("            if await self.written() != since:\n", "            if False:\n"),
        ("            self._require_halted_for_this(meta)\n", ""),
        ("                require_moved_to(moved, place)\n", ""),
    ),
    *of(
        "gifting/ledger/moved.py",
        STEPS,
        ("    if moved := meta.get(MOVED.encode()):\n", "    if moved := None:\n"),
        ("    if ARRIVING.encode() in meta:\n", "    if False:\n"),
    ),
    *of(
        "gifting/ledger/lua/move_write.lua",
        STEPS,
        ("if redis.call('HEXISTS', KEYS[2], 'born') == 1 then\n", "if false then\n"),
    ),
    *of(
        "gifting/ledger/lua/move_begin.lua",
        STEPS,
        ("if redis.call('EXISTS', KEYS[1]) == 0 then\n", "if true then\n"),
    ),
    *of(
        "gifting/ledger/moving/crossing.py",
        BOOKS,
        ("        differ = [copy for copy, (one, other) in pairs.items() if one != other]\n", "        differ = []\n"),
        (
            "            gone = [key for key, exists in zip(origins, there, strict=True) if not exists]\n",
            "            gone = []\n",
        ),
        ("        await self._count_merged()\n", ""),
    ),
    *of(
        "gifting/ledger/moving/copy.py",
        BOOKS,
        ('            self.put(pipe, ("PEXPIREAT", source.until))\n', "            pass\n"),
    ),
    *of(
        "gifting/ledger/moving/copies.py",
        BOOKS,
        ("if there != value}", "if there is None}"),
        ("        self._broken = reply != self._items[: len(reply)]\n", "        self._broken = False\n"),
        ('"ENTRIESADDED", count, "MAXDELETEDID", deleted)', '"ENTRIESADDED", count, "MAXDELETEDID", "0-0")'),
        ("            self._chunk |= added(kind)\n", "            pass\n"),
    ),
    *of(
        "gifting/ledger/moving/names.py",
        f"ledger/moving {BOOKS}",
        ("        if kind in _NAMES_OF_BUCKETS:\n", "        if False:\n"),
        ('        if kind == "totals" and member.startswith(MARK):\n', "        if False:\n"),
        ("self._to[self._first if kind in _IN_THE_FIRST else base]", "self._to[base]"),
        ("        if base not in self._to or kind not in COPIED:\n", "        if base not in self._to:\n"),
    ),
    *of(
        "gifting/ledger/mending/finding.py",
        "cluster/mending_scripts",
        ("        if item_order(trimmed) <= item_order(came):\n", '        if trimmed == "0-0":\n'),
        ('Span(f"({came}", end)', "Span(last=end)"),
    ),
    *of(
        "gifting/archive/service.py",
        "archive/mending_archived",
        ("connect(url, TIMEOUT, settings.replicas_waited)", "connect(url, TIMEOUT)"),
    ),
    *of(
        "gifting/cli/data.py",
        "cluster/durabilities::test_where_no_replica_is_waited_for_an_operator_opens_the_books_without_one",
        ("connect(url, TIMEOUT, settings.replicas_waited)", "connect(url, TIMEOUT)"),
    ),
    *of(
        "gifting/archive/service.py", "cluster/moving_on", ("[here, *said,", "[*said,"), ("        await here()\n", "")
    ),
)
