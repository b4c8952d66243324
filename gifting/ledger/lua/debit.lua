#!lua
-- debit: of gifts the half that is in their senders' partition, where their rooms may be elsewhere: on Redis Cluster.
-- KEYS [1+] the senders' partition, six keys as accounts.open takes them
--      [7]  its outbox
--      [8]  its line: born, epoch, lineage, and per partition of hosts what outbox.lua says
--      [9+] the buckets of its keys, and of those that are completed
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [dedupe window ms, key lead ms, streak window ms, rate numerator, rate denominator, commission of
--           hosts who have none of their own in basis points, the number of this partition]
--      [3]  msgpack array, each bucket's number
--      [4]  partitions of hosts, as msgpack values one after another: its number; an epoch that its mark has reached,
--           or 0; its rooms, six values each, as asked.room takes them; its targets: the place of the room among these,
--           and then as commit.lua has them
--      [5]  terms, what holds for senders, as read_terms takes them
--      [6]  of each gift, likewise: the places of bucket and terms; what the host has decided about the user, and about
--           the user's pseudonyms if it gives by one, as they are kept, or false; the place of its host's partition
--      [7]  of each gift, likewise: the place of its target among those of that partition, and then as commit.lua has
--           it behind the places
--      [8]  '', or msgpack [epoch, an id before which the outbox may end, or '', ids of items that may go …], all as
--           they are in that epoch
--      [9]  of gifts that were credited, what is told from now on to who asks again, as completions.want takes it
-- returns   array: the results, as commit.lua says; of what was taken now seq, repeat_count and streak are 0: pending.
--           Then the id of the outbox's new item, or ''; the epoch; and, of each partition that gets something, its
--           number and its blob, which the item has too (outbox.lua). The blob's gifts are those of the call that were
--           taken now, in their order
-- A call may have no gifts. It always writes something, so that WAIT behind it speaks of this call. UNREACHED in the
-- place of a reply: nothing was done.
-- @include status
-- @include clock
-- @include debit
-- @include asked
-- @include completions
-- @include gift
-- @include giving
-- @include join
-- @include lineage
-- @include terms
local now = clock(ARGV[1])
local dedupe_window, key_lead, streak_window, rate_numerator, rate_denominator, commission, source =
  unpack(cmsgpack.unpack(ARGV[2]))
local OUTBOX, LINE, BUCKETS = 7, 8, 9
local debits = debit.new(now, dedupe_window, key_lead, rate_numerator, rate_denominator, streak_window)
local asks = asked.new(now, rate_numerator, rate_denominator, commission)

-- The readers take values after the offset where they end, as those of items.lua.
local function read_partition(all, at, number, reached, rooms, targets)
  all[#all + 1] = { number = number, reached = reached, rooms = rooms, targets = targets }
  return at
end

local function read_partitions(values)
  local at, all = 0, {}
  while at >= 0 and #values > 0 do
    at = read_partition(all, cmsgpack.unpack_limit(values, 4, at))
  end
  return all
end

local function read_rooms(values)
  local at, rooms = 0, {}
  while at >= 0 and #values > 0 do
    at, rooms[#rooms + 1] = asked.room(asks, values, at)
  end
  return rooms
end

local function read_target(to, rooms, targets, at, place, id, host, gift, streakable, about)
  local number = #asks.targets + 1
  local target = new_target(number, id, host, gift, streakable, about)
  target.suffix = false -- its streak is the room's
  asked.add_target(asks, target, rooms[place], to)
  outbox.room(to, place, id, host)
  targets[#targets + 1] = target
  return at
end

local function read_targets(to, rooms, values)
  local at, targets = 0, {}
  while at >= 0 and #values > 0 do
    at = read_target(to, rooms, targets, cmsgpack.unpack_limit(values, 6, at))
  end
  return targets
end

-- Returns the outbox, and the targets of each partition.
local function open_outbox()
  local all, fields, targets = read_partitions(ARGV[4]), {}, {}
  for i, one in ipairs(all) do
    fields[i] = one.number
  end
  local line = lineage.read(KEYS[LINE], now, fields)
  local o = outbox.open(source, line)
  for i, one in ipairs(all) do
    local to = outbox.add(o, one.number, line.found[lineage.FIELDS + i], one.reached, one.targets)
    targets[i] = read_targets(to, read_rooms(one.rooms), one.targets)
  end
  return o, targets
end

local function read_gift(claims, all_terms, targets, values, from, head_at, bucket, on, person, masked, to)
  local at, place, user, key, time, digest, count, coins, profile, sent, confirmed, shown =
    cmsgpack.unpack_limit(values, 11, from)
  local gift = new_gift(targets[to][place], all_terms[on], user, key, count, coins, profile, sent, confirmed, shown)
  gift.values, gift.from, gift.to = values, from, at >= 0 and at or #values
  if person or masked then
    asked.decide(asks, gift, person, masked)
  end
  claims[#claims + 1] = debit.claim(debits, bucket, time, digest, gift)
  return head_at, at
end

local function read_gifts(targets, values)
  local all_terms, claims, head_at, at = terms.read(ARGV[5]), {}, 0, 0
  while at >= 0 and #values > 0 do
    head_at, at = read_gift(claims, all_terms, targets, values, at, cmsgpack.unpack_limit(ARGV[6], 5, head_at))
  end
  return claims
end

local function trim(epoch, before, ...)
  if epoch ~= asks.outbox.line.epoch then
    return
  end
  if before ~= '' then
    redis.call('XTRIM', KEYS[OUTBOX], 'MINID', before)
  end
  if ... then
    redis.call('XDEL', KEYS[OUTBOX], ...)
  end
end

-- As in commit.lua: what breaks off leaves debits without credits, never the reverse.
local item, told
local function write()
  debit.flush(debits)
  item, told = outbox.write(asks.outbox, KEYS[OUTBOX])
  debit.flush_results(debits)
end

for i, number in ipairs(cmsgpack.unpack(ARGV[3])) do
  debit.add_bucket(debits, 1, KEYS[BUCKETS + i - 1], number)
end
local targets
asks.outbox, targets = open_outbox()
local claims, completed = read_gifts(targets, ARGV[7]), completions.want(debits, ARGV[9])
debit.load(debits)
completions.put(completed)
local results = { string.char(0xdd) .. struct.pack('>I4', #claims), nil, nil }
for i, claim in ipairs(claims) do
  results[2 * i], results[2 * i + 1] = giving.commit(debits, asks, asked, claim)
end
local unreached = outbox.number(asks.outbox)
if unreached then
  return redis.error_reply(unreached)
end
debit.guard(debits, write, giving.refused(Status.OUTCOME_UNKNOWN))
if ARGV[8] ~= '' then
  trim(unpack(cmsgpack.unpack(ARGV[8])))
end
return { join(results, 2 * #claims + 1, 1100), item, asks.outbox.line.epoch, unpack(told) }
