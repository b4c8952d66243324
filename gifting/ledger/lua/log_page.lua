#!lua flags=no-writes
-- log_page: the batches of a room's log that hold what came after a seq: one, and as many more as reach a size. One may
-- be large, so they are read one by one.
-- KEYS [1]  the room's log
--      [2]  what is removed of it: seqs
--      [3]  the room; or nothing, where its lineage is of no interest
-- ARGV [1]  the seq
--      [2]  the size in bytes
-- returns   [the batches one after another, as wire/batch.py reads them, '' if there are none; of these the seqs of
--           which it is removed what they said; of the room seq, and epochs where it knows them]
-- @include digits
local start, left = digits(tonumber(ARGV[1]) + 1) .. '-0', tonumber(ARGV[2])
local batches, n = {}, 0
local first, last

local function first_of(item_id)
  local last_one, count = string.match(item_id, '^(%d+)-(%d+)$')
  return digits(last_one - count + 1)
end

repeat
  local item = redis.call('XRANGE', KEYS[1], start, '+', 'COUNT', 1)[1]
  if item then
    n = n + 1
    batches[n] = item[2][2]
    left = left - #batches[n]
    first, last = first or first_of(item[1]), string.match(item[1], '^%d+')
    start = '(' .. item[1]
  end
until not item or left <= 0
local removed = last and redis.call('ZRANGEBYSCORE', KEYS[2], first, last) or {}
return { table.concat(batches), removed, KEYS[3] and redis.call('HMGET', KEYS[3], 'seq', 'epochs') }
