#!lua flags=allow-oom
-- archived: note up to which item a partition's ledger is in the archive, durably. The mark only ever rises here.
-- KEYS [1]  the partition's mark
--      [2]  how many items that are, from the first on; left out where nobody counts
-- ARGV [1]  id of that item
--      [2]  its number
-- returns   the mark as it is now
-- (It may run where memory is short: what it allows frees much.)
local function parts(id)
  local time, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(time), tonumber(number)
end

local known = redis.call('GET', KEYS[1])
if known then
  local time, number = parts(known)
  local asked, nth = parts(ARGV[1])
  if asked < time or (asked == time and nth <= number) then
    return known
  end
end
redis.call('SET', KEYS[1], ARGV[1])
if KEYS[2] then
  redis.call('SET', KEYS[2], ARGV[2])
end
return ARGV[1]
