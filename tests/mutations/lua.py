"""The scripts: money, keys, order, streaks, rooms."""

from __future__ import annotations

from tests.mutations.mutant import LEDGER, of

LUA = "gifting/ledger/lua"

# Not here, since nothing can tell them from the code: a grant's bound of the balance (what was issued is never less), a
# second look at a field that is not there, how much more than is kept an approximate trim leaves, and that a streak which
# ended in a call can't be found again in it (nobody looks).
MUTANTS = (
    *of(
        f"{LUA}/commit.lua",
        f"{LEDGER} clock attack_cuts attack_batcher audit",
        # What may be refused, and in which order.
        ("debit.bad_amount(debits, gift) or credit.closed", "credit.closed"),
        ("credit.closed(credits, gift) or debit.short(gift, balance)", "debit.short(gift, balance)"),
        (
            "credit.closed(credits, gift) or debit.short(gift, balance)",
            "debit.short(gift, balance) or credit.closed(credits, gift)",
        ),
        ("\n    or credit.full(credits, gift)\n", "\n"),
        (
            "debit.short(gift, balance)\n    or credit.full(credits, gift)",
            "credit.full(credits, gift)\n    or debit.short(gift, balance)",
        ),
        ("    return pack_result(refused, 0, balance)\n", "    return pack_result(refused, 0, 0)\n"),
        # Keys.
        ("  if stored then\n    return DUPLICATE, stored\n  end\n", ""),
        ("    return DUPLICATE, stored\n", "    return FRESH, stored\n"),
        ("  if status and not keep then\n", "  if status then\n"),
        ("  if status and not keep then\n    return FRESH, pack_result(status)\n  end\n", ""),
        ("  debit.keep(claim, result)\n", ""),
        # Half-way.
        (
            "  debit.flush(debits)\n  credit.flush(credits)\n",
            "  credit.flush(credits)\n  debit.flush(debits)\n",
        ),
        ("  debit.flush_results(debits)\n  if chain then", "  if chain then"),
        ("local function write()\n", "local function write()\n  debit.flush_results(debits)\n"),
        ("debit.guard(debits, write, pack_result(Status.OUTCOME_UNKNOWN))\n", "write()\n"),
        # Order.
        ("if after ~= '' and redis.call('GET', chain) ~= after then\n  return ''\nend\n", ""),
        ("    redis.call('SET', chain, number, 'PX', CHAIN_KEPT)\n", ""),
    ),
    *of(
        f"{LUA}/include/debit.lua",
        f"{LEDGER} clock attack_cuts audit commit_halves",
        ("  if balance < gift.coins then\n", "  if balance <= gift.coins then\n"),
        ("  if balance < gift.coins then\n    return Status.INSUFFICIENT_COINS\n  end\n", ""),
        ("  if not is_amount(coins) or coins * d", "  if coins * d"),
        (" or coins * d.numerator + d.denominator > MAX_AMOUNT then", " then"),
        ("    gift.count, coins)\n", "    gift.count, 0)\n"),
        ("  dedupe.keep(claim.bucket, claim.gift.key, claim.digest, result)\n", ""),
        ("  dedupe.guard(d.keys, write, result)\n", "  write()\n"),
    ),
    *of(
        f"{LUA}/include/credit.lua",
        f"{LEDGER} clock attack_cuts audit commit_halves",
        (
            "if to.purse.diamonds + earnings.share(to.purse, coins) > MAX_AMOUNT or to.room.coins + coins > MAX_AMOUNT then",
            "if to.room.coins + coins > MAX_AMOUNT then",
        ),
        (" or to.room.coins + coins > MAX_AMOUNT then", " then"),
        ("  room.count(r, gift.user, gift.profile, coins, diamonds)\n", ""),
        ("seq, coins, diamonds,\n    c.numerator", "seq, coins, 0,\n    c.numerator"),
        ("  local seq = r.seq + 1\n", "  local seq = r.seq\n"),
        ("count = gift.count, coins = coins, id", "count = 1, coins = coins, id"),
        ("ends and 1 or 0, target.about", "0, target.about"),
        ("r.likes = math.min(r.likes + likes, MAX_AMOUNT)", "r.likes = r.likes + likes"),
        (
            "  local refused = room.refusal(r, host, nil)\n  if refused then\n    return refused\n  end\n",
            "",
        ),
    ),
    *of(
        f"{LUA}/grant.lua",
        f"{LEDGER} clock attack_cuts audit_cuts",
        ("hash.put(a.coins, user, balance + coins)", "hash.put(a.coins, user, coins)"),
        ("accounts.total(a, 'issued') + coins)", "coins)"),
        (
            "  hash.flush(a.totals)\n  write_entries(a.entries)\n  hash.flush(a.coins)\n",
            "  hash.flush(a.coins)\n  hash.flush(a.totals)\n  write_entries(a.entries)\n",
        ),
        ("balance + coins > MAX_AMOUNT or issued + coins > MAX_AMOUNT", "balance + coins > MAX_AMOUNT"),
        ("  if not is_amount(coins) then\n    return Status.BAD_AMOUNT\n  end\n", ""),
        ("  return cmsgpack.pack({ kept, 1, after })\n", "  return cmsgpack.pack({ kept, 0, after })\n"),
        ("dedupe.keep(bucket, key, digest, cmsgpack.pack(status, balance))\n", ""),
        (
            "  hash.flush(a.coins)\n  dedupe.flush(grants)\n",
            "  dedupe.flush(grants)\n  hash.flush(a.coins)\n",
        ),
        ("dedupe.guard(grants, write, cmsgpack.pack(Status.OUTCOME_UNKNOWN, 0))\n", "write()\n"),
        ("if status and not keep then\n", "if status then\n"),
        ("if status and not keep then\n  return cmsgpack.pack({ status, 0, 0 })\nend\n", ""),
    ),
    *of(
        f"{LUA}/include/dedupe.lua",
        f"{LEDGER} clock attack_cuts",
        ("    if string.sub(record, 1, DIGEST_SIZE) ~= digest then\n      return Status.KEY_REUSED\n    end\n", ""),
        ("  if time < bucket.accounts.floor then\n", "  if time <= bucket.accounts.floor then\n"),
        ("  if time < bucket.accounts.floor then\n    return Status.KEY_EXPIRED\n  end\n", ""),
        ("  if now - time > d.window then\n", "  if now - time >= d.window then\n"),
        ("  if now - time > d.window then\n    return Status.KEY_EXPIRED, nil, true\n  end\n", ""),
        ("    return Status.KEY_EXPIRED, nil, true\n", "    return Status.KEY_EXPIRED\n"),
        ("  if time - now > d.lead then\n", "  if time - now > 2 * d.lead then\n"),
        ("(bucket.number + 1) * d.width, bucket.key)", "bucket.number * d.width, bucket.key)"),
        ("    redis.call('PERSIST', bucket.key)", "    redis.call('TTL', bucket.key)"),
        ("string.sub(bucket.values[key], 1, DIGEST_SIZE) .. unknown", "bucket.values[key]"),
        ("    pcall(flush_bucket, d, bucket)\n", ""),
        ("    doubt(d, unknown)\n", ""),
        ("    error(failure, 0)\n", ""),
    ),
    *of(
        f"{LUA}/include/chunks.lua",
        "attack_large",
        ("local CHUNK = 1000\n", "local CHUNK = 999\n"),
        ("math.min(from + CHUNK - 1, #args)", "math.min(from + CHUNK - 2, #args)"),
        ("math.min(from + CHUNK - 1, #args)", "math.min(from + CHUNK - (from > 1 and 0 or 1), #args)"),
        ("reply[from + i - 1] = found[i]", "reply[i] = found[i]"),
        ("for i = 1, to - from + 1 do", "for i = 1, to - from do"),
        ("for from = 1, #args, CHUNK do", "for from = 1, math.min(#args, CHUNK), CHUNK do"),
    ),
    *of(
        f"{LUA}/include/accounts.lua",
        f"{LEDGER} attack_cuts audit",
        ("  hash.put(a.coins, user, balance - coins)\n", "  hash.put(a.coins, user, balance)\n"),
        ("  a.spent = a.spent + coins\n", ""),
        ("accounts.total(a, 'spent') + a.spent)", "a.spent)"),
        (
            "  hash.flush(a.coins)\n  hash.flush(a.totals)\n  write_entries(a.entries)\n",
            "  write_entries(a.entries)\n  hash.flush(a.totals)\n",
        ),
    ),
    *of(
        f"{LUA}/include/earnings.lua",
        f"{LEDGER} audit",
        ("math.floor(raw / purse.denominator), raw % purse.denominator", "math.floor(raw / purse.denominator), 0"),
        ("purse.diamonds + diamonds, carry, true", "diamonds, carry, true"),
        ("e.carries[e.n] = host .. '/' .. digits(e.denominator)", "e.carries[e.n] = host"),
        ("  call_in_chunks('HSET', e.carry_key, carries)\n", ""),
        ("  local purse = e.purses[host]\n  if not purse then", "  local purse = nil\n  if not purse then"),
    ),
    *of(
        f"{LUA}/include/entries.lua",
        f"{LEDGER} audit",
        (
            "redis.call('XADD', e.key, '*', 'e', table.concat(e))",
            "redis.call('XADD', e.key, 'MAXLEN', '~', 1000, '*', 'e', table.concat(e))",
        ),
        ("  e.n = n + 2\n", ""),
    ),
    *of(
        f"{LUA}/include/hash.lua",
        f"{LEDGER} audit",
        ("  h.dirty[field] = true\n", ""),
        ("    h.values[field] = found[i]\n", "    h.values[field] = found[1]\n"),
        ("    n = n + 2\n", ""),
    ),
    *of(
        f"{LUA}/include/room.lua",
        f"{LEDGER} attack_replay",
        ("  r.coins = r.coins + coins\n", ""),
        ("  r.diamonds = r.diamonds + diamonds\n", ""),
        ("  if not r or r.host ~= host then\n", "  if not r then\n"),
        ("  if r.state ~= 'live' then\n", "  if false then\n"),
        ("  if user == host then\n", "  if false then\n"),
        ("  if r.size >= BATCH_SIZE then\n    close_batch(r)\n  end\n", ""),
        ("math.max(batch.seq - keep + 1, 0)", "batch.seq"),
        ("math.max(batch.seq - keep + 1, 0)", "0"),
        ("    published[#published + 1] = packed\n", ""),
        ("i == #r.full and rank", "rank"),
    ),
    *of(
        f"{LUA}/include/ranking.lua",
        f"{LEDGER} audit",
        ("tonumber(scores[i] or 0) + r.spent[user], user", "r.spent[user], user"),
        ("  if rank == r.rank then\n    return nil\n  end\n", ""),
    ),
    *of(
        f"{LUA}/include/streaks.lua",
        f"{LEDGER} audit",
        ("now - streak.last > window then", "now - streak.last >= window then"),
        ("  streak.last = math.max(streak.last, now)\n", "  streak.last = now\n"),
        ("  streak.coins = streak.coins + gift.coins\n", ""),
        ("  streak.count = streak.count + gift.count\n", "  streak.count = streak.count + 1\n"),
        (
            "    forget_finished(p, r)\n    store_changed(p, r, window)\n",
            "    store_changed(p, r, window)\n    forget_finished(p, r)\n",
        ),
        ("  call_in_chunks('ZREM', p.streaks, members)\n", ""),
        ("streak.last + window, r.id", "streak.last, r.id"),
    ),
    *of(
        f"{LUA}/forget.lua",
        "clock",
        ("math.max(asked, tonumber(redis.call('HGET', KEYS[1], kind) or 0))", "asked"),
        ("if ends and tonumber(ends) <= floor then", "if ends and tonumber(ends) <= floor + 60000 then"),
        ("redis.call('HSET', KEYS[1], kind, digits(floor))\n", ""),
        ("    redis.call('ZREM', KEYS[2], KEYS[i])\n", ""),
        ("    redis.call('UNLINK', KEYS[i])\n", ""),
    ),
    *of(
        f"{LUA}/room_end.lua",
        f"{LEDGER} rooms",
        ("  end_streaks()\n", ""),
        ("  r.state = 'ended'\n", ""),
        ("  redis.call('ZREM', KEYS[8], id)\n", ""),
        ("    redis.call('PEXPIRE', key, retention)\n", ""),
        ("redis.call('HINCRBY', KEYS[10], r.host, -1)", "redis.call('HINCRBY', KEYS[10], r.host, 0)"),
    ),
    *of(
        f"{LUA}/room_open.lua",
        f"{LEDGER} rooms",
        ("  if found[2] ~= host then\n    return cmsgpack.pack({ Status.ROOM_TAKEN })\n  end\n", ""),
        (
            "redis.call('HGET', KEYS[4], host) or 0) >= rooms_max then",
            "redis.call('HGET', KEYS[4], host) or 0) > rooms_max then",
        ),
    ),
    *of(
        f"{LUA}/sweep.lua",
        LEDGER,
        ("tonumber(deadline) < now then", "tonumber(deadline) <= now - 1000 then"),
        ("      redis.call('ZREM', p.streaks, name)\n", "      redis.call('ZSCORE', p.streaks, name)\n"),
    ),
)
