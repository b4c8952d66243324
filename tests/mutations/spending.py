"""What protects who spends: accounts, their records, windows and terms."""

from __future__ import annotations

from tests.mutations.mutant import of

LUA = "gifting/ledger/lua"

# Not here: what a roll leaves out of a record, which no window reaches; that the month begins a day later.
MUTANTS = (
    *of(
        f"{LUA}/include/spending.lua",
        "spending attack_limits amounts",
        ("  if now >= account.roll_at then\n", "  if false then\n"),
        ("  if bit.band(bits, Frozen.BANNED) > 0 then\n", "  if false then\n"),
        ("Frozen.DEBT + Frozen.WARNING + Frozen.DISPUTE", "Frozen.DEBT"),
        ("  elseif now < account.blocked_until then\n", "  elseif now <= account.blocked_until then\n"),
        ("  elseif terms.barred > 0 and not (", "  elseif not ("),
        ("not (terms.guarded and protection.guarded(a, account))", "not protection.guarded(a, account)"),
        ("not (terms.guarded and protection.guarded(a, account))", "not terms.guarded"),
        ("    return terms.barred, terms.min_age\n", "    return terms.barred\n"),
        ("  elseif account.coins < coins then\n", "  elseif account.coins <= coins then\n"),
        ("now - account.run_last <= window and", "now - account.run_last < window and"),
        ("  return coins > cap or own > 0 and coins > own\n", "  return coins > cap\n"),
        ("  return coins > cap or own > 0 and coins > own\n", "  return coins >= cap or own > 0 and coins > own\n"),
        ("    if good_at > now then\n", "    if good_at >= now then\n"),
        ("  return from + ceil(", "  return now + ceil("),
        ("  elseif coins > account.left then\n", "  elseif coins >= account.left then\n"),
        ("account.day + coins > terms.day_cap or account.month", "account.month"),
        (" or account.month + coins > terms.month_cap then", " then"),
        ("  elseif terms.confirm_first and account.sent == 0 then\n", "  elseif terms.confirm_first then\n"),
        ("  account.left = account.left - coins\n", ""),
        ("account.day, account.month = account.since + coins,", "account.day, account.month = account.since,"),
        ("    account.velocity = full_at(account, coins, terms, now)\n", ""),
    ),
    *of(
        f"{LUA}/include/protection.lua",
        "spending attack_limits",
        ("  if version ~= (record.v or 0) then\n", "  if false then\n"),
        ("version + 1\n  account.cold", "version\n  account.cold"),
        ("windows.limit(cold.limits, window), windows.limit(cold.guard, window)", "windows.limit(cold.limits, window)"),
        ("      if mark > after then\n", "      if mark >= after then\n"),
        ("  apply_caps(account, record)\n", ""),
        ("  call_in_chunks('HSET', a.cold, args)\n", ""),
        ("  return math.max(left, 0)\n", "  return MAX_AMOUNT\n"),
    ),
    *of(
        f"{LUA}/include/windows.lua",
        "spending",
        ("    add_hour(hours, math.floor((account.roll_at - 1) / HOUR), account.since)\n", ""),
        ("    calendar[place + 3] = calendar[place + 3] + account.since\n", ""),
        ("    if calendar[place] <= now then\n", "    if calendar[place] < now then\n"),
        ("    if (hour[1] + 1) * HOUR > at - window.width then\n", "    if hour[1] * HOUR > at - window.width then\n"),
        ("  elseif coins > limit then\n    return 0\n", ""),
        ("    over = gone > at and over - hour[2] or over\n", "    over = over - hour[2]\n"),
    ),
    *of(
        f"{LUA}/include/terms.lua",
        "spending",
        ("limit(least(gift_cap, rate > 0 and burst or 0))", "limit(gift_cap)"),
        ("  return cap > 0 and cap or MAX_AMOUNT\n", "  return cap\n"),
    ),
    *of(
        f"{LUA}/account_put.lua",
        "spending",
        ("funds.unfreeze(a, account, clear)\n", ""),
        ("funds.freeze(a, account, set)\n", ""),
    ),
    *of(
        f"{LUA}/commit.lua",
        "spending",
        ("  if status ~= Status.CONFIRM_REQUIRED then", "  if true then"),
        ("    status, ends = debit.unasked(claim, account)\n", ""),
    ),
)
