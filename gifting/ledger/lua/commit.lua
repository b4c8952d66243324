#!lua
-- commit: apply a batch of gifts, likes and other room events, in order. All or nothing per item.
-- KEYS [i]  the partitions that the batch touches, e.g. 'gifting:{p03}'
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [dedupe window ms, key lead ms, streak window ms, rate numerator, rate denominator, log keep]
--      [3]  msgpack array of items, each a string of msgpack values one after another; partitions are indices into KEYS
--           gift  1, sender's partition, room's partition, room, host, user, key, key time, digest, gift, count, coins,
--                 streakable 0|1, user bytes, event bytes: the static part, then count, coins and message
--           event 2, room's partition, room, host, event bytes
--           like  3, room's partition, room, host, event bytes, count
-- returns   msgpack array, per item [duplicate 0|1, status, seq, coins left, repeat_count, streak]
-- @include status
-- @include clock
-- @include amount
-- @include hash
-- @include partition
-- @include dedupe
-- @include room
-- @include streaks
local GIFT, LIKE = 1, 3
local FRESH, DUPLICATE = '\150\0', '\150\1' -- a msgpack array of 6 and its first field
local DEBIT_HEADER, CREDIT_HEADER = '\153', '\155' -- arrays of 9 and 11
local now = clock(ARGV[1])
local dedupe_window, key_lead, streak_window, rate_numerator, rate_denominator, log_keep =
  unpack(cmsgpack.unpack(ARGV[2]))
local keys = dedupe.new('keys', dedupe_window, key_lead, 60000)
local partitions = {}

local function pack_result(status, seq, coins, repeat_count, streak)
  return cmsgpack.pack(status, seq or 0, coins or 0, repeat_count or 0, streak or 0)
end

local function read_gift(_, sender, host_at, id, host, user, key, key_time, digest, name, count, coins, streakable,
    profile, static, known)
  local p = partitions[host_at]
  return {
    sender = partitions[sender], p = p, room = room.open(p, id), room_id = id, host = host, user = user, key = key,
    key_time = key_time, digest = digest, name = name, count = count, coins = coins, profile = profile,
    static = static, known = known, streak = streakable == 1 and user .. '\n' .. name,
    -- A remainder is in units of its rate's denominator, so each denominator has its own.
    carry = host .. '/' .. rate_denominator,
  }
end

local function want(gift)
  dedupe.want(keys, gift.sender.base, gift.key, gift.key_time)
  hash.want(gift.sender.coins, gift.user)
  hash.want(gift.p.diamonds, gift.host)
  hash.want(gift.p.carry, gift.carry)
  if gift.room and gift.streak then
    streaks.want(gift.room, gift.streak)
  end
end

local function earned(gift)
  local raw = gift.coins * rate_numerator + tonumber(hash.get(gift.p.carry, gift.carry) or 0)
  return math.floor(raw / rate_denominator), raw % rate_denominator
end

-- Everything that can refuse a gift is asked here, before the first change.
local function refusal(gift, balance)
  if not is_amount(gift.coins) or gift.coins * rate_numerator + rate_denominator > MAX_AMOUNT then
    return Status.BAD_AMOUNT
  end
  local refused = room.refusal(gift.room, gift.host, gift.user)
  if refused then
    return refused
  end
  if balance < gift.coins then
    return Status.INSUFFICIENT_COINS
  end
  local diamonds = tonumber(hash.get(gift.p.diamonds, gift.host) or 0)
  if diamonds + earned(gift) > MAX_AMOUNT or gift.room.coins + gift.coins > MAX_AMOUNT then
    return Status.WALLET_FULL
  end
  return nil
end

local function debit(gift, balance)
  local p = gift.sender
  hash.put(p.coins, gift.user, balance - gift.coins)
  partition.add_total(p, 'spent', gift.coins)
  partition.entry(p, DEBIT_HEADER, 'debit', now, gift.key, gift.user, gift.room_id, gift.host, gift.name, gift.count, gift.coins)
end

local function credit_host(gift, seq)
  local p, r = gift.p, gift.room
  local diamonds, carry = earned(gift)
  hash.put(p.diamonds, gift.host, tonumber(hash.get(p.diamonds, gift.host) or 0) + diamonds)
  hash.put(p.carry, gift.carry, carry)
  r.coins = r.coins + gift.coins
  r.diamonds = r.diamonds + diamonds
  room.count_spent(r, gift.user, gift.profile, gift.coins)
  partition.entry(p, CREDIT_HEADER, 'credit', now, gift.key, gift.user, gift.room_id, gift.host, seq, gift.coins, diamonds,
    rate_numerator, rate_denominator)
  return diamonds
end

-- Never refuses. Returns the gift's seq, its streak's count and its streak.
local function credit(gift)
  local r = gift.room
  local open = gift.streak
    and streaks.continue(r, gift.streak, gift.count, gift.coins, now, streak_window, gift.static)
  local seq = r.seq + 1
  open = open or { first = seq, count = gift.count, coins = gift.coins, id = room.event_id(r, seq) }
  local ends = not gift.streak
  local fields = gift_fields(r, now, open.count, ends, open.id, credit_host(gift, seq))
  room.append(r, open.first, open.coins, ends and 1 or 0, gift.static, gift.known, fields)
  return seq, open.count, open.first
end

local function decide(gift)
  local balance = partition.balance(gift.sender, gift.user)
  local refused = refusal(gift, balance)
  if refused then
    return pack_result(refused, 0, balance)
  end
  debit(gift, balance)
  local seq, repeat_count, streak = credit(gift)
  return pack_result(Status.OK, seq, balance - gift.coins, repeat_count, streak)
end

local function commit_gift(gift)
  local base, key, key_time, digest = gift.sender.base, gift.key, gift.key_time, gift.digest
  local status, stored = dedupe.check(keys, base, key, key_time, digest, now)
  if stored then
    return DUPLICATE, stored
  end
  if status then
    return FRESH, pack_result(status)
  end
  stored = decide(gift)
  dedupe.keep(keys, base, key, key_time, digest, stored)
  return FRESH, stored
end

local function commit_event(kind, at, id, host, event, count)
  local r = room.open(partitions[at], id)
  local refused = room.refusal(r, host, nil)
  if refused then
    return FRESH, pack_result(refused)
  end
  if kind == LIKE then
    r.likes = math.min(r.likes + count, MAX_AMOUNT)
    event = event .. cmsgpack.pack('total', r.likes)
  end
  room.append(r, 0, 0, 0, event, '', cmsgpack.pack(room.stamp(r, now)))
  return FRESH, pack_result(Status.OK, r.seq)
end

for i, base in ipairs(KEYS) do
  partitions[i] = partition.new(base)
end
local items, gifts = cmsgpack.unpack(ARGV[3]), {}
for i, item in ipairs(items) do
  if string.byte(item) == GIFT then
    gifts[i] = read_gift(cmsgpack.unpack(item))
    want(gifts[i])
  end
end
dedupe.load(keys)
for _, p in ipairs(partitions) do
  partition.load(p)
  for _, r in pairs(p.rooms) do
    if r then
      streaks.load(r)
    end
  end
end
local results = {}
for i, item in ipairs(items) do
  local n = 2 * i
  if gifts[i] then
    results[n - 1], results[n] = commit_gift(gifts[i])
  else
    results[n - 1], results[n] = commit_event(cmsgpack.unpack(item))
  end
end
dedupe.flush(keys, now)
for _, p in ipairs(partitions) do
  partition.flush(p)
  streaks.flush(p, streak_window)
  room.flush(p, log_keep)
end
return string.char(0xdd) .. struct.pack('>I4', #items) .. table.concat(results)
