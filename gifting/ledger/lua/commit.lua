#!lua
-- commit: apply a batch of gifts, likes and other room events, in order. All or nothing per item.
-- KEYS [i]  the partitions that the batch touches, e.g. 'gifting:{p03}'
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [dedupe window ms, key lead ms, streak window ms, rate numerator, rate denominator, log keep]
--      [3]  msgpack array of items; partitions are indices into KEYS
--           gift  [1, sender's partition, room's partition, room, host, user, key, key time, digest, gift, count, coins,
--                  streakable 0|1, static event bytes, user bytes, message bytes]
--           event [2, room's partition, room, host, event bytes]
--           like  [3, room's partition, room, host, count, event bytes]
-- returns   msgpack array, per item [status, duplicate 0|1, seq, coins left, repeat_count, streak]
-- @include status
-- @include clock
-- @include amount
-- @include hashes
-- @include entries
-- @include dedupe
-- @include room
-- @include streaks
local now = clock(ARGV[1])
local dedupe_window, key_lead, streak_window, rate_numerator, rate_denominator, log_keep =
  unpack(cmsgpack.unpack(ARGV[2]))
local keys = Dedupe.new('keys', dedupe_window, key_lead, 60000)
local GIFT, EVENT = 1, 2

local function read_gift(item)
  return {
    sender_base = KEYS[item[2]], base = KEYS[item[3]], room = item[4], host = item[5], user = item[6],
    key = item[7], key_time = item[8], digest = item[9], gift = item[10], count = item[11], coins = item[12],
    streakable = item[13] == 1, static = item[14], profile = item[15], message = item[16],
    streak = item[6] .. '\n' .. item[10],
  }
end

-- A remainder is in units of its rate's denominator, so each denominator has its own.
local function carry_field(gift)
  return gift.host .. '/' .. rate_denominator
end

local function want(gift)
  keys:want(gift.sender_base, gift.key, gift.key_time)
  hashes.want(gift.sender_base .. ':coins', gift.user)
  hashes.want(gift.base .. ':diamonds', gift.host)
  hashes.want(gift.base .. ':carry', carry_field(gift))
  local room = rooms.open(gift.base, gift.room)
  if room and gift.streakable then
    streaks.want(room, gift.streak)
  end
end

local function earned(gift)
  local carry = tonumber(hashes.get(gift.base .. ':carry', carry_field(gift)) or 0)
  local raw = gift.coins * rate_numerator + carry
  return math.floor(raw / rate_denominator), raw % rate_denominator
end

-- Everything that can refuse a gift is asked here, before the first change.
local function refusal(gift, room, balance)
  if not is_amount(gift.coins) or gift.coins * rate_numerator + rate_denominator > MAX_AMOUNT then
    return Status.BAD_AMOUNT
  end
  local refused = rooms.refusal(room, gift.host, gift.user)
  if refused then
    return refused
  end
  if balance < gift.coins then
    return Status.INSUFFICIENT_COINS
  end
  local diamonds = tonumber(hashes.get(gift.base .. ':diamonds', gift.host) or 0)
  if diamonds + earned(gift) > MAX_AMOUNT or room.coins + gift.coins > MAX_AMOUNT then
    return Status.WALLET_FULL
  end
  return nil
end

local function debit(gift, balance)
  local base = gift.sender_base
  hashes.put(base .. ':coins', gift.user, balance - gift.coins)
  hashes.put(base .. ':totals', 'spent', tonumber(hashes.get(base .. ':totals', 'spent') or 0) + gift.coins)
  entries.add(base, 'debit', now, gift.key, gift.user, gift.room, gift.host, gift.gift, gift.count, gift.coins)
end

-- Never refuses. Returns the gift's seq, its streak's count and its streak.
local function credit(gift, room)
  local diamonds, carry = earned(gift)
  local repeat_count, streak, weight, closes = gift.count, nil, gift.coins, 1
  if gift.streakable then
    local open = streaks.continue(room, gift.streak, gift.count, gift.coins, now, streak_window, gift.static)
    repeat_count, streak, weight, closes = open.count, open.first, open.coins, 0
  end
  local seq = room.seq + 1
  streak = streak or seq
  room.coins = room.coins + gift.coins
  room.diamonds = room.diamonds + diamonds
  rooms.count_spent(room, gift.user, gift.profile, gift.coins)
  hashes.put(gift.base .. ':diamonds', gift.host, tonumber(hashes.get(gift.base .. ':diamonds', gift.host) or 0) + diamonds)
  hashes.put(gift.base .. ':carry', carry_field(gift), carry)
  entries.add(gift.base, 'credit', now, gift.key, gift.user, gift.room, gift.host, seq, gift.coins, diamonds,
    rate_numerator, rate_denominator)
  local event = gift_event(gift.static, gift.message, gift.count, gift.coins, repeat_count, closes == 1,
    rooms.event_id(room, streak), diamonds)
  rooms.append(room, event, now, streak, weight, closes)
  return seq, repeat_count, streak
end

local function decide(gift)
  local room = rooms.open(gift.base, gift.room)
  local balance = tonumber(hashes.get(gift.sender_base .. ':coins', gift.user) or 0)
  local refused = refusal(gift, room, balance)
  if refused then
    return refused, 0, balance, 0, 0
  end
  debit(gift, balance)
  local seq, repeat_count, streak = credit(gift, room)
  return Status.OK, seq, balance - gift.coins, repeat_count, streak
end

local function commit_gift(gift)
  local status, stored = keys:check(gift.sender_base, gift.key, gift.key_time, gift.digest, now)
  if stored then
    local kept, seq, coins, repeat_count, streak = cmsgpack.unpack(stored)
    return { kept, 1, seq, coins, repeat_count, streak }
  end
  if status then
    return { status, 0, 0, 0, 0, 0 }
  end
  local seq, coins, repeat_count, streak
  status, seq, coins, repeat_count, streak = decide(gift)
  keys:keep(gift.sender_base, gift.key, gift.key_time, gift.digest,
    cmsgpack.pack(status, seq, coins, repeat_count, streak), now)
  return { status, 0, seq, coins, repeat_count, streak }
end

local function commit_event(room, host, event)
  local refused = rooms.refusal(room, host, nil)
  if refused then
    return { refused, 0, 0, 0, 0, 0 }
  end
  rooms.append(room, event, now, 0, 0, 0)
  return { Status.OK, 0, room.seq, 0, 0, 0 }
end

local function commit_like(room, host, count, event)
  if room and room.state == 'live' then
    room.likes = math.min(room.likes + count, MAX_AMOUNT)
    event = event .. cmsgpack.pack('total', room.likes)
  end
  return commit_event(room, host, event)
end

local items = cmsgpack.unpack(ARGV[3])
for i, item in ipairs(items) do
  if item[1] == GIFT then
    items[i] = read_gift(item)
    want(items[i])
  end
end
hashes.load()
for i, item in ipairs(items) do
  if item.key then
    items[i] = commit_gift(item)
  elseif item[1] == EVENT then
    items[i] = commit_event(rooms.open(KEYS[item[2]], item[3]), item[4], item[5])
  else
    items[i] = commit_like(rooms.open(KEYS[item[2]], item[3]), item[4], item[5], item[6])
  end
end
hashes.flush()
keys:flush()
entries.flush()
streaks.flush()
rooms.flush(log_keep)
return cmsgpack.pack(items)
