#!lua
-- commit: apply a batch of gifts, likes and other room events, in order. All or nothing per item.
-- KEYS [1+] the partitions of its senders, six keys each, as accounts.open takes them; those of its rooms, four each,
--           as credit.add_room takes them; its rooms, seven each, as room.open and house.open take them; the buckets of
--           its keys; then, if ARGV [9] is not '', the chain
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [dedupe window ms, key lead ms, streak window ms, rate numerator, rate denominator, log keep,
--           commission of hosts who have none of their own, in basis points]
--      [3]  the kinds of the items, a byte each: 1 gift, 2 event, 3 like
--      [4]  msgpack [how many partitions of senders, of rooms, of each room its partition, of each bucket its
--           partition, and its number]; here and below all these, targets and terms are named by their place
--      [5]  targets, each a gift in a room, as msgpack values one after another
--           room, its id, host, gift, streakable 0|1, event bytes that all events of the target begin with
--      [6]  terms, what holds for senders, as read_terms takes them
--      [7]  the items, likewise
--           gift   bucket, target, terms, user, key, key time, digest, count, coins,
--                  event bytes: the user, and count, coins and message; confirmed 0|1, pseudonym or false
--           event  room, its id, host, event bytes, who does it ('': nobody), its age, 1 if it is a comment
--           like   room, its id, host, event bytes, count
--      [8]  the number of the call that was sent just before and is not answered yet; '' if there is none
--      [9]  this call's number, by which the next may name it, kept under the chain's key; '' if none will
-- returns   msgpack array, per item [how, status, seq, coins left, repeat_count, streak]; how: 0 fresh, 1 duplicate, or
--           50|80|100, fresh, and so many percent of a limit are spent now. A refusal has in place of seq when it ends
--           (ms), or what is allowed (coins, years). '' for a call that was not run because the one before it was not:
--           what one sender sends stays in order
-- A gift is two halves, each in a partition of its own: its debit, and its credit, which takes nothing of the debit but
-- the gift. Here both run in one call; what each may refuse, and in which order, says include/giving.lua.
-- @include status
-- @include clock
-- @include debit
-- @include credit
-- @include giving
-- @include house
-- @include items
-- @include join
-- @include room
-- @include wire
local now = clock(ARGV[1])
local dedupe_window, key_lead, streak_window, rate_numerator, rate_denominator, log_keep, commission =
  unpack(cmsgpack.unpack(ARGV[2]))
local debits = debit.new(now, dedupe_window, key_lead, rate_numerator, rate_denominator, streak_window)
local credits = credit.new(now, streak_window, rate_numerator, rate_denominator, log_keep, commission)
local CHAIN_KEPT = 60000 -- ms
local after, number = ARGV[8], ARGV[9]
local chain = number ~= '' and KEYS[#KEYS]

if after ~= '' and redis.call('GET', chain) ~= after then
  return ''
end

local function add_places(senders, hosts, room_homes, bucket_homes, bucket_numbers)
  local credits_at = 1 + senders * accounts.KEYS
  local at = credits_at + hosts * credit.KEYS
  for _, home in ipairs(room_homes) do
    credit.add_room(credits, credits_at + (home - 1) * credit.KEYS, at)
    at = at + room.KEYS + house.KEYS
  end
  for i, home in ipairs(bucket_homes) do
    debit.add_bucket(debits, 1 + (home - 1) * accounts.KEYS, KEYS[at], bucket_numbers[i])
    at = at + 1
  end
end

local function commit_event(item)
  local refused, ends = credit.post(credits, item)
  if refused then
    return giving.FRESH, giving.refused(refused, 0, ends)
  end
  return giving.FRESH, '\0' .. wire[item.room.seq] .. '\0\0\0'
end

-- All debits go before all credits, and results that can be told again last. So a script that breaks off leaves debits
-- without credits, never the reverse, and has acknowledged nothing that it did not do.
local function write()
  debit.flush(debits)
  credit.flush(credits)
  debit.flush_results(debits)
  if chain then
    redis.call('SET', chain, number, 'PX', CHAIN_KEPT)
  end
end

add_places(unpack(cmsgpack.unpack(ARGV[4])))
local all = items.read(debits, credits, ARGV[3], ARGV[5], ARGV[6], ARGV[7])
debit.load(debits)
credit.load(credits)
local results = { string.char(0xdd) .. struct.pack('>I4', #all), nil, nil }
for i, item in ipairs(all) do
  if item.gift then
    results[2 * i], results[2 * i + 1] = giving.commit(debits, credits, credit, item)
  else
    results[2 * i], results[2 * i + 1] = commit_event(item)
  end
end
debit.guard(debits, write, giving.refused(Status.OUTCOME_UNKNOWN))
return join(results, 2 * #all + 1, 1100)
