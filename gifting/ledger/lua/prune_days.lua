#!lua flags=allow-oom
-- prune_days: forget a page of what was earned on days before a floor, which never falls, whatever is asked for. It
-- rises before anything goes, so what is below it is never missed.
-- KEYS [1]  the partition's floors
--      [2]  its diamonds
-- ARGV [1]  msgpack [first day that is kept (days since 1970), today, the cursor that was returned last or '0', fields
--           that are looked at]
-- returns   msgpack [the floor as it is now, cursor of the next page; '0': all is looked at]
-- (It may run where memory is short: it frees some.)
-- Field `days` of the floors is that floor; `earned` the first day of which all that was earned is kept, which it is
-- since this ran first.
-- @include chunks
-- @include digits
local asked, today, cursor, count = unpack(cmsgpack.unpack(ARGV[1]))
local floor = math.max(asked, tonumber(redis.call('HGET', KEYS[1], 'days') or 0))

local function begin()
  local since = redis.call('EXISTS', KEYS[2]) == 0 and 0 or today + 1
  redis.call('HSETNX', KEYS[1], 'earned', digits(since))
  if floor > 0 then
    redis.call('HSET', KEYS[1], 'days', digits(floor))
  end
end

local function prune()
  local page = redis.call('HSCAN', KEYS[2], cursor, 'COUNT', count)
  local old = {}
  for i = 1, #page[2], 2 do
    local day = tonumber(string.match(page[2][i], '/(%d+)$'))
    if day and day < floor then
      old[#old + 1] = page[2][i]
    end
  end
  call_in_chunks('HDEL', KEYS[2], old)
  return page[1]
end

begin()
return cmsgpack.pack({ floor, prune() })
