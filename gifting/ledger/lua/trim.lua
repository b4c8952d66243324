#!lua flags=allow-oom
-- trim: take away what of a partition's ledger is archived and older than is kept, but for the last item archived, by
-- which the archive and the stream are held together. Nothing while an order's coins have broken off (redo.lua): what
-- of them is entered must be found. Nothing where that last item is not there.
-- KEYS [1]  the partition's ledger
--      [2]  the id of the last item that is archived
--      [3]  the id before which the stream may lack items
--      [4]  the partition's totals, in which is marked what may have broken off
--      [5+] the keys that are marked there, as they were read before
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [ms that an item is kept]
-- returns   msgpack [items taken away, marks that are in the way]
-- (It may run where memory is short: it frees some.)
-- @include clock
-- @include digits
-- @include item_id
-- @include redo_marks
local now = clock(ARGV[1])
local keep = unpack(cmsgpack.unpack(ARGV[2]))
local PIECE = 10000 -- items that one call takes away at most

local function pending()
  local declared = {}
  for i = 5, #KEYS do
    declared[KEYS[i]] = true
  end
  local found = 0
  for _, key in ipairs(redo_marks.all(KEYS[4])) do
    if declared[key] and redis.call('HEXISTS', key, 'redo') == 0 then
      redo_marks.forget(KEYS[4], key) -- it broke off before it was kept what was to be done, or after it was done
    else
      found = found + 1
    end
  end
  return found
end

local function cut()
  local archived = redis.call('GET', KEYS[2])
  if not archived or #redis.call('XRANGE', KEYS[1], archived, archived) == 0 then
    return nil
  end
  local oldest = digits(math.max(now - keep, 0)) .. '-0'
  return item_id.before(oldest, archived) and oldest or archived
end

-- In pieces, whose nodes go as a whole, and then what is left of the last.
local function trim(before)
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
  if not item_id.before(first, before) then
    return 0
  end
  redis.call('SET', KEYS[3], before)
  local removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', before, 'LIMIT', PIECE)
  return removed > 0 and removed or redis.call('XTRIM', KEYS[1], 'MINID', before)
end

local waiting = pending()
local before = waiting == 0 and cut()
return cmsgpack.pack({ before and trim(before) or 0, waiting })
