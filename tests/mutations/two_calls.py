"""The two calls of a gift on a cluster: numbers, epochs, marks, what is parked, and relays."""

from __future__ import annotations

from tests.mutations.mutant import of

LUA = "gifting/ledger/lua"
TWO_CALLS = "two_calls two_calls_machine"

# Not here, since nothing can tell them from the code: that a mark enters an epoch as soon as it has all that is before
# it (what comes from the lost one until then is fenced later), and how many epochs are kept that a mark has passed.
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
        f"{LUA}/include/lineage.lua",
        TWO_CALLS,
        ("  if found[3] ~= id then\n", "  if false then\n"),
        ("  if not found[1] then\n", "  if false then\n"),
    ),
    *of(
        f"{LUA}/include/outbox.lua",
        TWO_CALLS,
        ("list[#list + 1] = { line.epoch, to.seq }", "list[#list + 1] = { line.epoch, 0 }"),
        ("      if #list > EPOCHS_MAX then\n", "      if false then\n"),
        ("  lineage.write(o.line)\n", ""),
    ),
    *of(
        f"{LUA}/include/park.lua",
        TWO_CALLS,
        ("'r' .. blob.seq .. '-' .. digits(epochs.last(blob.epochs))", "'r' .. blob.seq"),
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
        f"{LUA}/credit.lua",
        TWO_CALLS,
        ("    follow(blob, mark)\n", ""),
        (" or epochs.last(cmsgpack.unpack(was)[3]) < epochs.last(blob.epochs) then", " then"),
        ("    park.keep(blob.park, blob)\n", ""),
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
