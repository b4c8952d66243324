"""The ledger's streams trimmed: what goes too early, or is said to be there."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/lua/trim.lua",
        "ledger/trimming",
        ("  return item_id.before(oldest, archived) and oldest or archived\n", "  return oldest\n"),
        ("  return item_id.before(oldest, archived) and oldest or archived\n", "  return archived\n"),
        (" or #redis.call('XRANGE', KEYS[1], archived, archived) == 0 then\n", " then\n"),
        ("local before = waiting == 0 and cut()\n", "local before = cut()\n"),
        ("    if declared[key] and redis.call('HEXISTS', key, 'redo') == 0 then\n", "    if declared[key] then\n"),
        ("    if declared[key] and redis.call('HEXISTS', key, 'redo') == 0 then\n", "    if false then\n"),
        ("  redis.call('SET', KEYS[3], before)\n", ""),
        ("removed > 0 and removed or redis.call('XTRIM', KEYS[1], 'MINID', before)", "removed"),
    ),
    *of(
        "gifting/ledger/lua/include/item_id.lua",
        "ledger/trimming",
        ("  if #a ~= #b then\n", "  if false then\n"),
        ("  if time ~= other then\n", "  if false then\n"),
    ),
    *of(
        "gifting/ledger/lua/archived.lua",
        "ledger/trimming",
        ("  if asked < time or (asked == time and nth <= number) then\n", "  if false then\n"),
    ),
    *of(
        "gifting/ledger/lua/include/redo.lua",
        "ledger/trimming",
        ("  redo_marks.keep(a.totals, KEYS[at])\n", ""),
        ("  redo_marks.forget(a.totals, KEYS[at])\n", ""),
    ),
    *of(
        "gifting/ledger/lua/include/intent.lua",
        "ledger/trimming",
        (
            "  if plan.after ~= '0-0' and #redis.call('XRANGE', e.key, plan.after, plan.after) == 0 then\n",
            "  if false then\n",
        ),
    ),
    *of(
        "gifting/ledger/trimming.py",
        "ledger/trimming",
        ("    if not await redis.hexists(keys.meta, HALTED):\n", "    if True:\n"),
        ("    now = now or str(in_ms(await redis.time()))\n", ""),
    ),
    *of(
        "gifting/ledger/audit/trimmed.py",
        "trimmed_books",
        ("        if lost := stream.added - read[base]:\n", "        if lost := 0:\n"),
        ("            raise ArchiveNeeded(", "            print("),
    ),
    *of(
        "gifting/archive/ledger_items.py",
        "trimmed_books",
        ("                    if seq != last + 1:\n", "                    if False:\n"),
        ("        if own != [archive]:\n", "        if False:\n"),
    ),
    *of(
        "gifting/archive/trimming.py",
        "trimmed_books",
        ("        if self._monotonic() < self._look_at:\n", "        if False:\n"),
        ("        return max(sum(ms) / 1000, self._keep_min)\n", "        return self._keep_min\n"),
    ),
    *of(
        "gifting/ledger/lookup.py",
        "trimmed_books",
        ("        if trimmed and trimmed >= min(first for first, _ in spans):\n", "        if False:\n"),
    ),
    *of(
        "gifting/ledger/spending.py",
        "trimmed_books",
        ("        whole = max(whole, trimmed + (nth > 0))\n", ""),
        ("        more = whole > max(since, trimmed)\n", "        more = max(whole, trimmed) > since\n"),
    ),
    *of(
        "gifting/ledger/backlog.py",
        "ledger/backlog",
        ("        elif self.seconds > self._most:\n", "        elif self.seconds >= self._most:\n"),
        ("        oldest = await self._oldest() if followed else None\n", "        oldest = await self._oldest()\n"),
        ("            self._health.recover(PART)\n", "            pass\n"),
    ),
    *of(
        "gifting/ledger/lua/include/room.lua",
        "trimmed_books",
        ("math.min(first, archived + 1)", "first"),
        ("math.min(first, archived + 1)", "0"),
    ),
)
