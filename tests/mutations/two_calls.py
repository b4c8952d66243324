"""The two calls of a gift on a cluster: numbers, epochs, marks, what is parked, and relays."""

from __future__ import annotations

from tests.mutations.mutant import of

LUA = "gifting/ledger/lua"
TWO_CALLS = "two_calls two_calls_machine"

# Not here, since nothing can tell them from the code: how many epochs are kept that a mark has passed, and of which of
# them it has kept a base when it moves on (the last is that of the blob, which else is not its turn), that a mark is read
# once for all blobs of a source, and that no streak is named in a debit (nobody asks for it).
MUTANTS = (
    *of(
        f"{LUA}/include/marks.lua",
        TWO_CALLS,
        ("  enter_epoch(mark, blob)\n  local seq", "  local seq"),
        ("  if is_gone(mark, blob) then", "  if false then"),
        ("  return base and blob.seq > base\n", "  return base\n"),
        ("seq <= mark.seq + AHEAD and marks.PARKED", "seq <= mark.seq + AHEAD + 1 and marks.PARKED"),
        ("{ floor + 1, mark.seq, epochs.last", "{ floor, mark.seq, epochs.last"),
    ),
    *of(
        f"{LUA}/include/marks.lua",
        "two_calls",
        ("    if found[i] then\n", "    if false then\n"),
        ("mark.seq < floor then", "mark.seq <= floor then"),
        ("  if mark.seq > floor then\n", "  if mark.seq >= floor then\n"),
        ("epochs.last(mark.epochs), blob.epochs[place][1] }", "0, blob.epochs[place][1] }"),
        ("blob.epochs[place][1] }", "0 }"),
        ("  mark.seq, mark.epochs = floor, {", "  mark.epochs = {"),
        ("blob.seq > base\n", "blob.seq >= base\n"),
        ("  elseif seq <= mark.seq then\n", "  elseif seq < mark.seq then\n"),
        ("    mark.seq, mark.epochs = seq, blob.epochs\n", "    mark.epochs = blob.epochs\n"),
        (" and marks.PARKED or marks.EARLY", " and marks.EARLY or marks.EARLY"),
        ("mark.epochs, mark.parked)\n    n", "mark.epochs, {})\n    n"),
    ),
    *of(
        f"{LUA}/include/marks.lua",
        "two_calls_machine",
        ("    n = n + 2\n", ""),
    ),
    *of(
        f"{LUA}/include/lineage.lua",
        TWO_CALLS,
        ("  if found[3] ~= id then\n", "  if false then\n"),
        ("  if not found[1] then\n", "  if false then\n"),
        ("math.max(epoch + 1, now)", "now"),
        ("math.max(epoch + 1, now)", "epoch + 1"),
        ("'epoch', epoch, 'lineage', id }", "'epoch', epoch }"),
    ),
    *of(
        f"{LUA}/include/epochs.lua",
        "two_calls",
        ("    if one[1] > epoch then\n", "    if one[1] >= epoch then\n"),
        ("      return one[2], place\n", "      return one[2], #list\n"),
    ),
    *of(
        f"{LUA}/include/outbox.lua",
        TWO_CALLS,
        ("list[#list + 1] = { line.epoch, to.seq }", "list[#list + 1] = { line.epoch, 0 }"),
        ("      if #list > EPOCHS_MAX then\n", "      if false then\n"),
        ("  lineage.write(o.line)\n", ""),
    ),
    *of(
        f"{LUA}/include/outbox.lua",
        "outbox",
        ("size < 16 and", "size < 17 and"),
        ("  if to.ends[n] ~= gift.from then\n", "  if n == 0 then\n"),
        ("    local list = to.epochs\n    if to.n > 0 then\n", "    local list = to.epochs\n    if true then\n"),
        ("    if to.n > 0 then\n      local blob, n", "    if true then\n      local blob, n"),
        ("      n = n + 2\n", ""),
        ("  pieces[HEAD] = string_head(size)\n", "  pieces[HEAD] = string_head(#to.values)\n"),
        ("join(pieces, HEAD + to.n, 40)", "join(pieces, HEAD + 1, 40)"),
    ),
    *of(
        f"{LUA}/include/outbox.lua",
        "two_calls",
        ("epochs.since(list, reached), targets", "list, targets"),
        ("      if epochs.last(list) ~= line.epoch then\n", "      if not list[1] then\n"),
        ("      if #list > EPOCHS_MAX then\n", "      if #list >= EPOCHS_MAX then\n"),
    ),
    *of(
        f"{LUA}/include/outbox.lua",
        "two_calls_cuts",
        (
            "  lineage.write(o.line)\n  return #fields > 0 and redis.call('XADD', key, '*', unpack(fields)) or '', told\n",
            "  local id = #fields > 0 and redis.call('XADD', key, '*', unpack(fields)) or ''\n  lineage.write(o.line)\n"
            "  return id, told\n",
        ),
    ),
    *of(
        f"{LUA}/include/park.lua",
        TWO_CALLS,
        ("'r' .. blob.seq .. '-' .. digits(epochs.last(blob.epochs))", "'r' .. blob.seq"),
    ),
    *of(
        f"{LUA}/include/park.lua",
        "two_calls",
        ("  if not place_of(mark, blob.seq) then\n", "  if true then\n"),
        ("unpack(rooms)))\n  redis.call('PEXPIRE', key, KEPT)\n", "unpack(rooms)))\n"),
        ("blob.results)\n  redis.call('PEXPIRE', key, KEPT)\n", "blob.results)\n"),
        ("  table.remove(mark.parked, place_of(mark, seq))\n", ""),
        ("  redis.call('HDEL', key, seq)\n", ""),
        ("    park.drop(key, mark, seq)\n    return nil", "    return nil"),
        ("local KEPT = 60000", "local KEPT = 6000"),
    ),
    *of(
        f"{LUA}/include/completions.lua",
        TWO_CALLS,
        ("OK_AT, SEQ_AT) == WAITS then", "OK_AT, OK_AT) == '\\0' then"),
        ("OK_AT, SEQ_AT) == WAITS then", "SEQ_AT, SEQ_AT) == '\\0' then"),
    ),
    *of(
        f"{LUA}/debit.lua",
        TWO_CALLS,
        ("  if epoch ~= asks.outbox.line.epoch then\n", "  if false then\n"),
        ("completions.put(completed)\n", ""),
    ),
    *of(
        f"{LUA}/debit.lua",
        "two_calls outbox",
        ("at >= 0 and at or #values", "at"),
        ("  if person or masked then", "  if person then"),
        ("  if person or masked then", "  if masked then"),
        ("  if before ~= '' then\n", "  if false then\n"),
        ("  if ... then\n", "  if false then\n"),
        ("if unreached then\n", "if false then\n"),
        ("one.reached, one.targets)\n    targets[i]", "0, one.targets)\n    targets[i]"),
        ("line.found[lineage.FIELDS + i]", "line.found[lineage.FIELDS + 1]"),
    ),
    *of(
        f"{LUA}/debit.lua",
        "two_calls_cuts",
        (
            "  debit.flush(debits)\n  item, told = outbox.write(asks.outbox, KEYS[OUTBOX])\n",
            "  item, told = outbox.write(asks.outbox, KEYS[OUTBOX])\n  debit.flush(debits)\n",
        ),
        (
            "  item, told = outbox.write(asks.outbox, KEYS[OUTBOX])\n  debit.flush_results(debits)\n",
            "  debit.flush_results(debits)\n  item, told = outbox.write(asks.outbox, KEYS[OUTBOX])\n",
        ),
        ("debit.guard(debits, write, giving.refused(Status.OUTCOME_UNKNOWN))\n", "write()\n"),
    ),
    *of(
        f"{LUA}/credit.lua",
        TWO_CALLS,
        ("    follow(blob, mark)\n", ""),
        (" or epochs.last(cmsgpack.unpack(was)[3]) < epochs.last(blob.epochs) then", " then"),
        ("    park.keep(blob.park, blob)\n", ""),
    ),
    *of(
        f"{LUA}/credit.lua",
        "two_calls",
        ("credits.houses = false\n", ""),
        ("mark.seq + 1) }\n", "mark.seq + 2) }\n"),
        ("    if how == marks.PARKED then\n", "    if false then\n"),
        ("    park.drop(blob.park, mark, parked.seq)\n", ""),
        ("    if how == marks.APPLIED then\n      applied", "    if true then\n      applied"),
        ("    parked = find_parked(blob, mark)\n  end", "    parked = nil\n  end"),
        ("  if not was or ", "  if was and "),
        ("'had', digits(had)", "'had', digits(lost)"),
        ("    'lost', digits(lost)", "    'lost', digits(had)"),
        ("'at', digits(now))", "'at', digits(0))"),
        ("  if line.args[1] or not next(all) then\n", "  if line.args[1] then\n"),
        ("  if line.args[1] or not next(all) then\n", "  if not next(all) then\n"),
        ("  for source, mark in pairs(all) do\n    for _, lost in ipairs(mark.fenced)", "  for source, mark in pairs({}) do\n    for _, lost in ipairs(mark.fenced)"),
        ("  if blob.how == marks.BEFORE then\n", "  if false then\n"),
        ("wire[epochs.last(mark.epochs)] .. wire[mark.seq]", "wire[0] .. wire[mark.seq]"),
    ),
    *of(
        f"{LUA}/credit.lua",
        "two_calls_cuts",
        (
            "  marks.write(KEYS[MARKS], all)\n  credit.flush(credits)\n",
            "  credit.flush(credits)\n  marks.write(KEYS[MARKS], all)\n",
        ),
    ),
    *of(
        "gifting/ledger/cluster/helper.py",
        "relay",
        ("if (await self._said.debit(source, NOTHING_RIDES)).epoch != int(epoch or 0):", "if False:"),
        ("            self._note_hole(source, number, blobs[0], credited.told[0])\n", "            pass\n")
    ),
    *of(
        "gifting/ledger/cluster/reach.py",
        "ledger/cluster/reach kept",
        ("else now - keep, began", "else now, began"),
        (" or not was.is_credited(self._source, marks):", ":"),
        ("            self._pass(stand, None)\n        elif", "            pass\n        elif"),
    ),
    *of(
        "gifting/ledger/cluster/reach.py",
        "ledger/cluster/reach",
        ("if now_silent else self._all\n", "if now_silent else self._near\n"),
        ("            moved = True\n", ""),
        ("self.stuck = set(self.silent)", "self.stuck = set()"),
        ("self._near.credited.last, None", "self.credited.last, None"),
        ("awaited = self._near.awaited", "awaited = self._all.awaited"),
    ),
    *of(
        "gifting/ledger/cluster/apiece.py",
        "apiece",
        ("timeout=self._patience", "timeout=None"),
        ("            if number not in self._tasks\n", ""),
    ),
    *of(
        "gifting/ledger/cluster/trimmer.py",
        "cluster/trimmer one_master_dead kept",
        ("if not reach.silent and (", "if ("),
        ("if one.is_credited(marks) and one.is_credited(after)]", "]"),
        ("                await self._pick(due, marks, after)\n", "                pass\n"),
    ),
    *of(
        "gifting/ledger/cluster/looks.py",
        "one_master_dead",
        ('Apiece("the outbox", PATIENCE)', 'Apiece("the outbox", 60.0)'),
    ),
)  # fmt: skip
