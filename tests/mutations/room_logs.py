"""Rooms' logs in the archive: events that come twice, are missing, or say what was removed."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/lua/room_archived.lua",
        "archive/room_logs",
        ("if wait > 0 and asked >= tonumber(redis.call('HGET', KEYS[1], 'seq')) then\n", "if wait > 0 then\n"),
        ("redis.call('PTTL', key) - wait", "redis.call('PTTL', key)"),
    ),
    *of(
        "gifting/ledger/lua/room_end.lua",
        "archive/room_logs",
        ("    redis.call('PEXPIRE', KEYS[2], retention + wait)\n", ""),
    ),
    *of(
        "gifting/ledger/lua/include/room.lua",
        "archive/room_logs",
        (", seq - WAITING * keep + 1)", ", 0)"),
    ),
    *of(
        "gifting/ledger/acts.py",
        "archive/acts",
        ("            if followed and await redis.xlen(keys.acts) >= self._waiting_max:\n", "            if False:\n"),
    ),
    *of(
        "gifting/archive/erasing.py",
        "archive/erasing",
        ("events.c.ts <= erasure.at", "events.c.ts >= 0"),
        ("name=None, text=None", "name=None"),
        (", *(pseudonym(salt, room, erasure.user) for room in shown)", ""),
        ("        return [one for one in due if (one.user, one.at) not in done]\n", "        return [*due]\n"),
    ),
    *of(
        "gifting/archive/room_writing.py",
        "archive/erasing",
        ("        if not user.startswith(MARK):\n", "        if True:\n"),
        ("    return (*row[:NAME], None, None, ", "    return (*row[:NAME], None, row[TEXT], "),
    ),
    *of(
        "gifting/archive/room_rows.py",
        "archive/erasing",
        (" if user and not _ends_streak(event) else None", " if user else None"),
    ),
    *of(
        "gifting/ledger/lua/erase.lua",
        "archive/erasing",
        ("math.max(now, (tonumber(last) or 0) + 1)", "now"),
    ),
    *of(
        "gifting/archive/room_writing.py",
        "archive/room_logs",
        ("            if at.get(room.id, 0) != page.since:\n", "            if False:\n"),
        (
            "            await _remove(connection, {room.id: [*page.removed] for room, page in pages if page.removed})\n",
            "",
        ),
    ),
    *of(
        "gifting/archive/room_rows.py",
        "archive/room_logs",
        ("    said = None if removed else ", "    said = "),
        ('    return text.replace("\\0", "\\ufffd")\n', "    return text\n"),
    ),
    *of(
        "gifting/archive/room_logs.py",
        "archive/room_logs",
        ("                page = page._replace(last=room.seq)\n", "                continue\n"),
        ("{**walked, **self._open, **await self._live()}", "{**self._open, **await self._live()}"),
    ),
    *of(
        "gifting/ledger/lua/room_archived.lua",
        "archive/room_logs",
        ("if asked <= known then\n", "if false then\n"),
        ("if redis.call('EXISTS', KEYS[1]) == 0 then\n", "if false then\n"),
    ),
)
