#!lua
-- commit: apply a batch of gifts, likes and other room events, in order. All or nothing per item.
-- KEYS [1+] the partitions that the batch touches, eight keys each, as partition.new takes them; then its rooms, five keys
--           each, as room.open takes them; then the buckets of its keys; then, if ARGV [8] is not '', the chain
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [dedupe window ms, key lead ms, streak window ms, rate numerator, rate denominator, log keep]
--      [3]  the kinds of the items, a byte each: 1 gift, 2 event, 3 like
--      [4]  msgpack [how many partitions, of each room its partition, of each bucket its partition, and its number];
--           here and below partitions, rooms, buckets and targets are named by their place
--      [5]  targets, each a gift in a room, as msgpack values one after another
--           room, its id, host, gift, streakable 0|1, event bytes that all events of the target begin with
--      [6]  the items, likewise
--           gift   bucket, target, user, key, key time, digest, count, coins,
--                  event bytes: the user, and count, coins and message
--           event  room, its id, host, event bytes
--           like   room, its id, host, event bytes, count
--      [7]  the number of the call that was sent just before and is not answered yet; '' if there is none
--      [8]  this call's number, by which the next may name it, kept under the chain's key; '' if none will
-- returns   msgpack array, per item [duplicate 0|1, status, seq, coins left, repeat_count, streak]; or '' for a call that
--           was not run because the one before it was not: what one sender sends stays in order
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
local partitions, rooms, buckets = {}, {}, {}
local CHAIN_KEPT = 60000
local after, number = ARGV[7], ARGV[8]
local chain = number ~= '' and KEYS[#KEYS]

if after ~= '' and redis.call('GET', chain) ~= after then
  return ''
end

local function pack_result(status, seq, coins, repeat_count, streak)
  return cmsgpack.pack(status, seq or 0, coins or 0, repeat_count or 0, streak or 0)
end

local function open_places(count, room_homes, bucket_homes, bucket_numbers)
  for i = 1, count do
    partitions[i] = partition.new(1 + (i - 1) * PARTITION_KEYS)
  end
  local at = 1 + count * PARTITION_KEYS
  for i, home in ipairs(room_homes) do
    rooms[i] = { p = partitions[home], at = at }
    at = at + ROOM_KEYS
  end
  for i, home in ipairs(bucket_homes) do
    buckets[i] = dedupe.bucket(keys, partitions[home], KEYS[at], bucket_numbers[i])
    at = at + 1
  end
end

local function room_at(place, id)
  local found = rooms[place]
  if found.room == nil then
    found.room = room.open(found.p, found.at, id) or false
  end
  return found.room or nil
end

-- The readers take the values of a target or an item after the offset where they end. No string is made of a whole
-- item: Lua interns strings by a sample of their bytes, and long ones that are nearly alike are slow to tell apart.
local function read_target(at, place, id, host, name, streakable, about)
  return at, {
    p = rooms[place].p, room = room_at(place, id), host = host, name = name,
    streak_suffix = streakable == 1 and '\n' .. name, about = about,
    -- A remainder is in units of its rate's denominator, so each denominator has its own.
    carry = host .. '/' .. digits(rate_denominator),
  }
end

local function read_targets(values)
  local at, targets = 0, {}
  while at >= 0 and #values > 0 do
    at, targets[#targets + 1] = read_target(cmsgpack.unpack_limit(values, 6, at))
  end
  return targets
end

local function read_gift(targets, at, bucket_at, target_at, user, key, key_time, digest, count, coins, profile, known)
  local bucket, target = buckets[bucket_at], targets[target_at]
  return at, {
    target = target, sender = bucket.p, user = user, bucket = bucket, key = key, key_time = key_time, digest = digest,
    count = count, coins = coins, profile = profile, known = known,
    streak = target.streak_suffix and user .. target.streak_suffix,
  }
end

local function read_event(at, place, id, host, event, count)
  return at, { room = room_at(place, id), host = host, event = event, likes = count }
end

local function read_items(kinds, targets, values)
  local at, items = 0, {}
  for i = 1, #kinds do
    local kind = string.byte(kinds, i)
    if kind == GIFT then
      at, items[i] = read_gift(targets, cmsgpack.unpack_limit(values, 10, at))
    else
      at, items[i] = read_event(cmsgpack.unpack_limit(values, kind == LIKE and 5 or 4, at))
    end
  end
  return items
end

local function want(gift)
  hash.want(gift.bucket, gift.key)
  hash.want(gift.sender.coins, gift.user)
  if gift.target.room and gift.streak then
    streaks.want(gift.target.room, gift.streak)
  end
end

local function load_wanted(targets, items)
  for _, target in ipairs(targets) do
    hash.want(target.p.diamonds, target.host)
    hash.want(target.p.carry, target.carry)
  end
  for _, item in ipairs(items) do
    if item.key then
      want(item)
    end
  end
  dedupe.load(keys)
  for _, p in ipairs(partitions) do
    partition.load(p)
    for _, r in ipairs(p.rooms) do
      streaks.load(r)
    end
  end
end

local function earned(target, coins)
  local raw = coins * rate_numerator + tonumber(hash.get(target.p.carry, target.carry) or 0)
  return math.floor(raw / rate_denominator), raw % rate_denominator
end

-- Everything that can refuse a gift is asked here, before the first change. If nothing does: nil, milli-diamonds, carry.
local function refusal(gift, balance)
  local target, coins = gift.target, gift.coins
  if not is_amount(coins) or coins * rate_numerator + rate_denominator > MAX_AMOUNT then
    return Status.BAD_AMOUNT
  end
  local refused = room.refusal(target.room, target.host, gift.user)
  if refused then
    return refused
  end
  if balance < coins then
    return Status.INSUFFICIENT_COINS
  end
  local diamonds, carry = earned(target, coins)
  local before = tonumber(hash.get(target.p.diamonds, target.host) or 0)
  if before + diamonds > MAX_AMOUNT or target.room.coins + coins > MAX_AMOUNT then
    return Status.WALLET_FULL
  end
  return nil, diamonds, carry
end

local function debit(gift, balance)
  local p, target = gift.sender, gift.target
  hash.put(p.coins, gift.user, balance - gift.coins)
  partition.add_total(p, 'spent', gift.coins)
  partition.entry(p.debits, DEBIT_HEADER, 'debit', now, gift.key, gift.user, target.room.id, target.host, target.name,
    gift.count, gift.coins)
end

local function credit_host(gift, seq, diamonds, carry)
  local target = gift.target
  local p, r, host = target.p, target.room, target.host
  hash.put(p.diamonds, host, tonumber(hash.get(p.diamonds, host) or 0) + diamonds)
  hash.put(p.carry, target.carry, carry)
  r.coins = r.coins + gift.coins
  r.diamonds = r.diamonds + diamonds
  room.count_spent(r, gift.user, gift.profile, gift.coins)
  partition.entry(p.credits, CREDIT_HEADER, 'credit', now, gift.key, gift.user, r.id, host, seq, gift.coins, diamonds,
    rate_numerator, rate_denominator)
end

-- Never refuses. Returns the gift's seq, its streak's count and its streak.
local function credit(gift, diamonds, carry)
  local r = gift.target.room
  local open = gift.streak and streaks.continue(r, gift, now, streak_window)
  local seq = r.seq + 1
  open = open or { first = seq, count = gift.count, coins = gift.coins, id = room.event_id(r, seq) }
  local ends = not gift.streak
  credit_host(gift, seq, diamonds, carry)
  room.append(r, open.first, open.coins, ends and 1 or 0, gift.target.about, gift.profile, gift.known,
    gift_fields(r, now, open.count, ends, open.id, diamonds))
  return seq, open.count, open.first
end

local function decide(gift)
  local balance = partition.balance(gift.sender, gift.user)
  local refused, diamonds, carry = refusal(gift, balance)
  if refused then
    return pack_result(refused, 0, balance)
  end
  debit(gift, balance)
  local seq, repeat_count, streak = credit(gift, diamonds, carry)
  return pack_result(Status.OK, seq, balance - gift.coins, repeat_count, streak)
end

local function commit_gift(gift)
  if dedupe.below(gift.bucket, gift.key_time) then
    return FRESH, pack_result(Status.KEY_EXPIRED)
  end
  local status, stored = dedupe.check(gift.bucket, gift.key, gift.digest)
  if stored then
    return DUPLICATE, stored
  end
  status = status or dedupe.refusal(keys, gift.key_time, now)
  if status and status ~= Status.KEY_EXPIRED then
    return FRESH, pack_result(status)
  end
  stored = status and pack_result(status) or decide(gift)
  dedupe.keep(gift.bucket, gift.key, gift.digest, stored)
  return FRESH, stored
end

local function commit_event(item)
  local r, event = item.room, item.event
  local refused = room.refusal(r, item.host, nil)
  if refused then
    return FRESH, pack_result(refused)
  end
  if item.likes then
    r.likes = math.min(r.likes + item.likes, MAX_AMOUNT)
    event = event .. cmsgpack.pack('total', r.likes)
  end
  room.append(r, 0, 0, 0, event, cmsgpack.pack(room.stamp(r, now)))
  return FRESH, pack_result(Status.OK, r.seq)
end

-- All debits go before all credits, and results that can be told again last. So a script that breaks off leaves debits
-- without credits, never the reverse, and has acknowledged nothing that it did not do.
local function write()
  for _, p in ipairs(partitions) do
    partition.flush_debits(p)
  end
  for _, p in ipairs(partitions) do
    partition.flush_credits(p)
    streaks.flush(p, streak_window)
    room.flush(p, log_keep)
  end
  dedupe.flush(keys)
  if chain then
    redis.call('SET', chain, number, 'PX', CHAIN_KEPT)
  end
end

open_places(unpack(cmsgpack.unpack(ARGV[4])))
local targets = read_targets(ARGV[5])
local items = read_items(ARGV[3], targets, ARGV[6])
load_wanted(targets, items)
local results = {}
for i, item in ipairs(items) do
  local commit = item.key and commit_gift or commit_event
  results[2 * i - 1], results[2 * i] = commit(item)
end
local whole, failure = pcall(write)
if not whole then
  -- Who asks again is neither charged twice nor told of a success: that the outcome is not known is kept in its stead.
  dedupe.doubt(keys, pack_result(Status.OUTCOME_UNKNOWN))
  error(failure, 0)
end
return string.char(0xdd) .. struct.pack('>I4', #items) .. table.concat(results)
