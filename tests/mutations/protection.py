"""Mutants of what protects who spends: limits, windows, days of a zone, guardians, and what is told."""

from __future__ import annotations

from tests.mutations.mutant import of

MODEL = "gifting/model"

# Not here: that only who is asked may accept is asked twice, by access and by the rule.

MUTANTS = (
    *of(
        f"{MODEL}/limits.py",
        "model/limits windows",
        ("else now + RAISE_AFTER", "else now"),
        ("noted.at <= now and coins <= noted.value", "coins <= noted.value"),
        ("noted.at <= now and coins <= noted.value", "noted.at <= now"),
        ("noted.at if noted is not None and coins <= noted.value else", "noted.at if noted is not None else"),
        ("if now < one.at + RAISE_OPEN}", "}"),
        ("max(record.until, until)", "until"),
        ("    if record.guardian:\n        raise Conflict", "    if False:\n        raise Conflict"),
        ("    if record.invited != guardian:\n", "    if record.invited and record.invited != guardian:\n"),
        ("guard={}, guard_purchases={}, guard_caps=(0, 0, 0))", "guard={}, guard_caps=(0, 0, 0))"),
        ("if any(what in PURCHASES for what in wanted) else record", "if wanted else record"),
        ("**values(record, guard=True), **wanted", "**wanted"),
    ),
    *of(
        f"{MODEL}/windows.py",
        "model/limits windows protections",
        ('WIDTHS["d30"] + DAY_MS', 'WIDTHS["d30"]'),
        ("if (hour + 1) * HOUR_MS > since)", "if hour * HOUR_MS > since)"),
        ("now + WRITTEN_WITHIN", "now"),
        ("same_end(end, record.offsets, known) for end", "end for end"),
        ("(roll_at - 1) // HOUR_MS", "roll_at // HOUR_MS - 2"),
        ("        gone = (hour + 1) * HOUR_MS", "        gone = hour * HOUR_MS"),
    ),
    *of(
        f"{MODEL}/calendar.py",
        "calendar",
        ("return max(end, _first_at(", "return min(end, _first_at("),
        ("+ 7 - day.weekday())", "+ 6 - day.weekday())"),
        ("max(one.start, midnight - one.ahead)", "midnight - one.ahead"),
        ("day.year + day.month // 12", "day.year"),
        ("start + YEARS * 366 * DAY_MS, WEEK_MS):", "start + 366 * DAY_MS, WEEK_MS):"),
    ),
    *of(
        f"{MODEL}/purchase_limits.py",
        "model/limits windows",
        ("    if now < record.until:\n        return OnBreak(until=record.until)\n", ""),
        ("    if not record.asked:\n        return LimitsUnasked()\n", ""),
        ("now - WIDTHS[window] + 1 if", "now - WIDTHS[window] if"),
        ("max(start, lengthened.end), window_end", "start, window_end"),
        ("    if now < lengthened.end:\n        return lengthened\n", ""),
        ("record.guard_purchases.get(window, UNLIMITED))", "UNLIMITED)"),
        ("until = 0 if coins > limit else _frees_at(", "until = _frees_at("),
        ("return at + WIDTHS[window]", "return at + WIDTHS[window] - 1"),
    ),
    *of(
        "gifting/ledger/protections.py",
        "protections",
        ("            if changed == record:\n                break\n", ""),
        ("        for _ in range(TRIES):\n            stored", "        stored = (await self._accounts.read(user)).record\n        for _ in range(TRIES):\n            _"),
        ("account.since, account.roll_at, self", "0, account.roll_at, self"),
    ),
    *of(
        "gifting/ledger/wards.py",
        "api/limits",
        ("            if guardian in _named(record):\n", "            if True:\n"),
        ("record.guardian == guardian", "bool(record.guardian or record.invited)"),
        ("            else:\n                await self._strike_off(guardian, user, began)\n", ""),
        ("        for guardian in before - _named(record):\n", "        for guardian in ():\n"),
        ("if listed >= WARDS_MAX and", "if"),
        (" and len(await self.of(guardian)) >= WARDS_MAX", ""),
    ),
    *of(
        "gifting/ledger/spending.py",
        "protections",
        (" and entry.user == user]", "]"),
        ("                    since = _time(item.id) + 1\n", ""),
        (" if one.ts >= since]", "]"),
        ("        if self._waiting > WAITING_MAX:\n", "        if False:\n"),
        ("            self._waiting -= 1\n", "            pass\n"),
    ),
    *of(
        "gifting/api/access.py",
        "api/limits",
        ("return user if asking == user else await _guardian(call)", "return asking"),
        ("return record.guardian or (asking", "return (asking"),
    ),
    *of(
        "gifting/transport/notices.py",
        "notices",
        ('            if session.identity.role != "overlay":\n', "            if True:\n"),
        ("deque(maxlen=UNTOLD_MAX)", "deque()"),
        ("            if session.can_take:\n", "            if True:\n"),
    ),
    *of(
        "gifting/transport/reminders.py",
        "reminders",
        ("        if len(self._spells) < SPENDERS_MAX:\n", "        if True:\n"),
        ("        if user not in self._spells:\n", "        if True:\n"),
        ("if spell is not None and now - spell.told < TWICE_WITHIN:", "if False:"),
        ("            self._spells.pop(user, None)\n", ""),
        ("            self._begin(user, notice.began, now, now)\n", ""),
        ("self._begin(user, notice.began, now, now)", "self._begin(user, notice.began, now, -TWICE_WITHIN)"),
        ("min(spell.began, notice.began), now", "spell.began, now"),
        ("notice.began), now\n        self._put_off(user, spell, now)\n", "notice.began), now\n"),
        ("                if spell.due == at:  # nothing", "                if False:  # nothing"),
        ("if spell is not None and spell.due == at:", "if spell is not None:"),
    ),
    *of(
        "gifting/ledger/notices.py",
        "ledger/protections",
        ("spent_since(await self._protections.read(user), began)", "spent_since(await self._protections.read(user), 0)"),
        ("- began) // 60_000", "- began) // 1000"),
    ),
    *of(
        "gifting/transport/gateway.py",
        "notices",
        ("        if result.duplicate:\n            return\n", ""),
        ("        if result.notice:\n            self.spawn", "        if False:\n            self.spawn"),
        ("            self.notices.tell(notice.user, notice.event)\n\n    def heard", "            pass\n\n    def heard"),
    ),
)  # fmt: skip
