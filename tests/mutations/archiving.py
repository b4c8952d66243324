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
)
