"""The scripts: money, keys, order, streaks, rooms."""

from __future__ import annotations

from tests.mutations.mutant import of

LUA = "gifting/ledger/lua"

# Not here, since nothing can tell them from the code: a grant's bound of the balance (what was issued is never less), a
# second look at a field that is not there, how much more than is kept an approximate trim leaves, and that a streak which
# ended in a call can't be found again in it (nobody looks).
MUTANTS = (
    *of(
        f"{LUA}/commit.lua",
        "ledger clock attack_cuts attack_batcher audit",
        # Who pays, and how much.
        ("hash.put(p.coins, gift.user, balance - gift.coins)", "hash.put(p.coins, gift.user, balance)"),
        ("  if balance < coins then\n", "  if balance <= coins then\n"),
        ("  if balance < coins then\n    return Status.INSUFFICIENT_COINS\n  end\n", ""),
        ("  partition.add_total(p, 'spent', gift.coins)\n", ""),
        ("  if not is_amount(coins) or coins * rate", "  if coins * rate"),
        ("or coins * rate_numerator + rate_denominator > MAX_AMOUNT then", "then"),
        (
            "if before + diamonds > MAX_AMOUNT or target.room.coins + coins > MAX_AMOUNT then",
            "if target.room.coins + coins > MAX_AMOUNT then",
        ),
        (" or target.room.coins + coins > MAX_AMOUNT then", " then"),
        # Who earns, and how much.
        ("math.floor(raw / rate_denominator), raw % rate_denominator", "math.floor(raw / rate_denominator), 0"),
        ("tonumber(hash.get(p.diamonds, host) or 0) + diamonds)", "diamonds)"),
        ("  r.coins = r.coins + gift.coins\n", ""),
        ("  r.diamonds = r.diamonds + diamonds\n", ""),
        ("  room.count_spent(r, gift.user, gift.profile, gift.coins)\n", ""),
        ("seq, gift.coins, diamonds,\n    rate_numerator", "seq, gift.coins, 0,\n    rate_numerator"),
        ("    carry = host .. '/' .. digits(rate_denominator),", "    carry = host,"),
        # Keys.
        (
            "  if dedupe.below(gift.bucket, gift.key_time) then\n    return FRESH, pack_result(Status.KEY_EXPIRED)\n  end\n",
            "",
        ),
        ("  if stored then\n    return DUPLICATE, stored\n  end\n", ""),
        ("    return DUPLICATE, stored\n", "    return FRESH, stored\n"),
        ("  if status and status ~= Status.KEY_EXPIRED then\n", "  if status then\n"),
        ("  if status and status ~= Status.KEY_EXPIRED then\n    return FRESH, pack_result(status)\n  end\n", ""),
        ("  dedupe.keep(gift.bucket, gift.key, gift.digest, stored)\n  return FRESH", "  return FRESH"),
        ("    return pack_result(refused, 0, balance)\n", "    return pack_result(refused, 0, 0)\n"),
        # Half-way.
        (
            "  for _, p in ipairs(partitions) do\n    partition.flush_debits(p)\n  end\n  for _, p in ipairs(partitions) do\n    partition.flush_credits(p)\n",
            "  for _, p in ipairs(partitions) do\n    partition.flush_credits(p)\n    partition.flush_debits(p)\n",
        ),
        ("  dedupe.flush(keys)\n  if chain then", "  if chain then"),
        ("local function write()\n", "local function write()\n  dedupe.flush(keys)\n"),
        ("  dedupe.doubt(keys, pack_result(Status.OUTCOME_UNKNOWN))\n", ""),
        ("  error(failure, 0)\n", ""),
        # Order.
        ("if after ~= '' and redis.call('GET', chain) ~= after then\n  return ''\nend\n", ""),
        ("    redis.call('SET', chain, number, 'PX', CHAIN_KEPT)\n", ""),
        # Events.
        ("local seq = r.seq + 1\n  open = open or", "local seq = r.seq\n  open = open or"),
        ("count = gift.count, coins = gift.coins, id", "count = 1, coins = gift.coins, id"),
        ("ends and 1 or 0, gift.target.about", "0, gift.target.about"),
        ("r.likes = math.min(r.likes + item.likes, MAX_AMOUNT)", "r.likes = r.likes + item.likes"),
        (
            "  local refused = room.refusal(r, item.host, nil)\n  if refused then\n    return FRESH, pack_result(refused)\n  end\n",
            "",
        ),
    ),
    *of(
        f"{LUA}/grant.lua",
        "ledger clock attack_cuts audit_cuts",
        ("hash.put(p.coins, user, balance + coins)", "hash.put(p.coins, user, coins)"),
        ("  partition.add_total(p, 'issued', coins)\n", ""),
        ("balance + coins > MAX_AMOUNT or issued + coins > MAX_AMOUNT", "balance + coins > MAX_AMOUNT"),
        ("  if not is_amount(coins) then\n    return Status.BAD_AMOUNT\n  end\n", ""),
        ("  return cmsgpack.pack({ kept, 1, after })\n", "  return cmsgpack.pack({ kept, 0, after })\n"),
        ("dedupe.keep(bucket, key, digest, cmsgpack.pack(status, balance))\n", ""),
        (
            "  partition.flush_issued(p)\n  dedupe.flush(grants)\n",
            "  dedupe.flush(grants)\n  partition.flush_issued(p)\n",
        ),
        ("  dedupe.doubt(grants, cmsgpack.pack(Status.OUTCOME_UNKNOWN, 0))\n", ""),
        ("if dedupe.below(bucket, key_time) then\n", "if false then\n"),
    ),
    *of(
        f"{LUA}/include/dedupe.lua",
        "ledger clock attack_cuts",
        ("  if string.sub(record, 1, DIGEST_SIZE) ~= digest then\n    return Status.KEY_REUSED\n  end\n", ""),
        ("  return time < bucket.p.floor\n", "  return time <= bucket.p.floor\n"),
        ("  return time < bucket.p.floor\n", "  return false\n"),
        ("  if now - time > d.window then\n", "  if now - time >= d.window then\n"),
        ("  if now - time > d.window then\n    return Status.KEY_EXPIRED\n  end\n", ""),
        ("  if time - now > d.lead then\n", "  if time - now > 2 * d.lead then\n"),
        ("(bucket.number + 1) * d.width, bucket.key)", "bucket.number * d.width, bucket.key)"),
        ("    redis.call('PERSIST', bucket.key)", "    redis.call('TTL', bucket.key)"),
        ("string.sub(bucket.values[key], 1, DIGEST_SIZE) .. stored", "bucket.values[key]"),
        ("    pcall(flush_bucket, d, bucket)\n", ""),
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
        f"{LUA}/include/partition.lua",
        "ledger attack_cuts audit",
        (
            "redis.call('XADD', p.ledger, '*', 'e', table.concat(entries))",
            "redis.call('XADD', p.ledger, 'MAXLEN', '~', 1000, '*', 'e', table.concat(entries))",
        ),
        (
            "  hash.flush(p.coins)\n  hash.flush(p.totals)\n  enter(p, p.debits)\n",
            "  enter(p, p.debits)\n  hash.flush(p.totals)\n",
        ),
        (
            "  hash.flush(p.totals)\n  enter(p, p.debits)\n  hash.flush(p.coins)\n",
            "  hash.flush(p.coins)\n  hash.flush(p.totals)\n  enter(p, p.debits)\n",
        ),
        ("  hash.flush(p.carry)\n  enter", "  enter"),
        ("tonumber(hash.get(p.totals, name) or 0) + amount)", "amount)"),
        ("  entries.n = n + 2\n", "  entries.n = n\n"),
    ),
    *of(
        f"{LUA}/include/hash.lua",
        "ledger audit",
        ("  h.dirty[field] = true\n", ""),
        ("    h.values[field] = found[i]\n", "    h.values[field] = found[1]\n"),
        ("    n = n + 2\n", ""),
    ),
    *of(
        f"{LUA}/include/room.lua",
        "ledger attack_replay",
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
        "ledger audit",
        ("tonumber(scores[i] or 0) + r.spent[user], user", "r.spent[user], user"),
        ("  if rank == r.rank then\n    return nil\n  end\n", ""),
    ),
    *of(
        f"{LUA}/include/streaks.lua",
        "ledger audit",
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
        "ledger rooms",
        ("  end_streaks()\n", ""),
        ("  r.state = 'ended'\n", ""),
        ("  redis.call('ZREM', KEYS[8], id)\n", ""),
        ("    redis.call('PEXPIRE', key, retention)\n", ""),
        ("redis.call('HINCRBY', KEYS[10], r.host, -1)", "redis.call('HINCRBY', KEYS[10], r.host, 0)"),
    ),
    *of(
        f"{LUA}/room_open.lua",
        "ledger rooms",
        ("  if found[2] ~= host then\n    return cmsgpack.pack({ Status.ROOM_TAKEN })\n  end\n", ""),
        (
            "redis.call('HGET', KEYS[4], host) or 0) >= rooms_max then",
            "redis.call('HGET', KEYS[4], host) or 0) > rooms_max then",
        ),
    ),
    *of(
        f"{LUA}/sweep.lua",
        "ledger",
        ("tonumber(deadline) < now then", "tonumber(deadline) <= now - 1000 then"),
        ("      redis.call('ZREM', p.streaks, name)\n", "      redis.call('ZSCORE', p.streaks, name)\n"),
    ),
)
