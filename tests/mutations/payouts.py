"""Money out: who may ask for it, what leaves twice or comes back twice, and what is paid of money that is not there."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/wire/second_factor.py",
        "wire/second_factor",
        ("    if identity.mfa_at > now + leeway:\n", "    if False:\n"),
        ("    if identity.mfa_at + FRESH <= now:\n", "    if identity.mfa_at + FRESH < now:\n"),
    ),
    *of(
        "gifting/wire/tokens.py",
        "wire/second_factor",
        ("        claims.auth_time if MFA in claims.amr else 0.0,\n", "        claims.auth_time,\n"),
    ),
    *of(
        "gifting/model/payouts.py",
        "model/payouts",
        ("    return min(known or at, at)\n", "    return known or at\n"),
        ("    if not payout.sending_at:\n", "    if False:\n"),
        ("if came_back(payout) and not payout.back else 0", "if came_back(payout) else 0"),
        ("    return -(-amount * SETTLED // worth), amount\n", "    return diamonds, amount\n"),
        ("if payout.created > since and not came_back(payout)", "if payout.created > since"),
        (
            "return payout.paid_at > max(payout.failed_at, payout.returned_at) > 0",
            "return bool(payout.paid_at and payout.failed_at)",
        ),
    ),
    *of(
        "gifting/ledger/lua/include/available.lua",
        "economy/crossings",
        ("today + AHEAD), has)", "today), has)"),
        ("today - hold + 1, today + AHEAD", "today - hold, today + AHEAD"),
        ("today - reserve + 1, today - hold)", "today - reserve, today - hold)"),
    ),
    *of(
        "gifting/ledger/lua/include/host_redo.lua",
        "ledger/host_redo",
        ("    if redis.call('HGET', KEYS[DIAMONDS], h.mark) ~= plan.key then\n", "    if true then\n"),
        ("  redo_marks.keep(KEYS[TOTALS], KEYS[PLANS])\n", ""),
        ("  if plan and intent.entered(h.e, plan) then\n", "  if plan then\n"),
        ("  elseif plan then\n    forget(h)\n", ""),
        ("  redis.call('HDEL', KEYS[DIAMONDS], h.mark)\n", ""),
    ),
    *of(
        "gifting/ledger/audit/payouts.py",
        "ledger/audit_payouts",
        ("        if not any((then.host", "        if False and not any((then.host"),
        ("        if name not in reader.kept and name not in reader.broken:\n", "        if False:\n"),
        ("        if behind := change(payout):\n", "        if behind := 0:\n"),
        (" and not untouched:\n", ":\n"),
        ("out.back if payout.back else None", "None"),
    ),
    *of(
        "gifting/ledger/audit/payout_book.py",
        "ledger/audit_payouts",
        ("    if entry.key not in keys:\n", "    if False:\n"),
        ("book.out is None or book.back != book.out.back", "False"),
    ),
    *of(
        "gifting/ledger/audit/clawbacks.py",
        "ledger/audit_payouts",
        ("        if (host, key) not in kept:\n", "        if False:\n"),
        ("entered is None or _read_taken(record) != entered", "_read_taken(record) != entered"),
        ("entered is None or _read_taken(record) != entered", "entered is None"),
    ),
    *of("gifting/ledger/lua/payout_put.lua", "ledger/host_redo", ("host_redo.complete(h)\n", "")),
    *of("gifting/ledger/lua/claw_back.lua", "ledger/host_redo", ("host_redo.complete(h, tell_room)\n", "")),
    *of("gifting/ledger/lua/creator_put.lua", "ledger/host_redo", ("host_redo.complete(h)\n", "")),
    *of(
        "gifting/ledger/lua/prune_days.lua",
        "ledger/days",
        ("day < floor then", "day <= floor then"),
        ("  if floor > 0 then\n", "  if false then\n"),
        ("redis.call('EXISTS', KEYS[2]) == 0 and 0 or today + 1", "0"),
        ("redis.call('EXISTS', KEYS[2]) == 0 and 0 or today + 1", "today + 1"),
        ("math.max(asked, tonumber(redis.call('HGET', KEYS[1], 'days') or 0))", "asked"),
    ),
    *of(
        "gifting/ledger/days.py",
        "ledger/days",
        ("floor > self._floor and held >= HOLD_MAX", "floor > self._floor"),
        ("min(today, int(floor) + KEPT_DAYS - 1)", "today"),
        ('        self._left = dict.fromkeys(self._bases, "0")\n\n', "\n"),
    ),
    *of(
        "gifting/ledger/lua/include/available.lua",
        "ledger/days",
        ("today - hold + 1, today + AHEAD", "today - hold, today + AHEAD"),
        ("today - hold + 1, today + AHEAD", "today - hold + 1, today"),
        ("today - reserve + 1, today - hold", "today - reserve, today - hold"),
        ("math.max(tonumber(value or 0), 0)", "tonumber(value or 0)"),
        ("math.ceil(rest * bps / BASIS)", "math.floor(rest * bps / BASIS)"),
        ("math.min(share, has - pending)", "share"),
        (" - debt, 0)", ", 0)"),
    ),
    *of(
        "gifting/ledger/lua/payout_put.lua",
        "ledger/days",
        ("floor and math.min(told, floor + kept - 1) or told", "told"),
    ),
    *of(
        "gifting/ledger/audit/balances.py",
        "ledger/days",
        ("days_since.get(base, oldest.get(base, int(day)) + 1)", "oldest.get(base, int(day)) + 1"),
        ("days_since.get(base, oldest.get(base, int(day)) + 1)", "0"),
    ),
)
