"""The archiver: what would lose an item, have it twice, stop for one, or follow the wrong books."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/archive/writing.py",
        "archive/archiver",
        ("    if done.rowcount != 1:\n", "    if False:\n"),
        ("        except _UNFIT:  # an entry", "        except KeyError:  # an entry"),
    ),
    *of(
        "gifting/archive/rows.py",
        "archive/archiver",
        ("        except UNREADABLE as error:\n", "        except KeyError as error:\n"),
        (" if type(entry) is Credit else partition\n", " if False else partition\n"),
        (" or not 0 <= entry.ts <= MAX_AMOUNT:\n", ":\n"),
    ),
    *of(
        "gifting/archive/origin.py",
        "archive/archiver",
        ("    if extent.gone > cursor.seq:\n", "    if False:\n"),
        ("    if extent.added < cursor.seq:\n", "    if False:\n"),
        (" or there != await _recall(connection, cursor):\n", ":\n"),
        ("    if kept and found.id != kept:\n", "    if False:\n"),
        ("        await lower_marks(redis, keys, at)\n", ""),
        ("        if mark and item_order(mark.decode()) > item_order(cursor.item_id):\n", "        if False:\n"),
    ),
    *of(
        "gifting/archive/archiver.py",
        "archive/archiver",
        ("        await self._mark()\n", ""),
    ),
    *of(
        "gifting/ledger/entry_parser.py",
        "archive/archiver",
        ("    unpacker.read_bytes(1)  #", "    #"),
    ),
    *of(
        "gifting/archive/archiver.py",
        "archive/archiver",
        ("                await self._tell_refused(error)\n", ""),
        ("        await self._redis.hdel(self._keys.meta, REFUSED)\n", ""),
    ),
    *of(
        "gifting/ledger/backlog.py",
        "ledger/backlog",
        ("        if refused:\n", "        if False:\n"),
        ("max(extents[base].added - int(count or 0), 0)", "extents[base].length"),
    ),
    *of(
        "gifting/archiving.py",
        "archive/service",
        ("                pause = RESTART_MAX\n", "                pass\n"),
    ),
    *of(
        "gifting/archive/month_end.py",
        "month_end",
        ("        return min(self._redis", "        return max(self._redis"),
        ("min(offset, newest + AWAY - at * 1000)", "offset"),
        ("        if offset <= self._offset + STEP:\n", "        if True:\n"),
        ("        elif at - self._ahead_since >= HOLD:\n", "        elif False:\n"),
    ),
    *of(
        "gifting/archive/store.py",
        "archive/sqlite_locks",
        (" | os.O_EXCL, 0o600))", ", 0o600))"),
        (" | os.O_EXCL, 0o600))", " | os.O_EXCL, 0o644))"),
        ("            if not left or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:\n", "            if True:\n"),
        (" or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:\n", ":\n"),
    ),
)
