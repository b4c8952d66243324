#!lua
-- ward_forget: strike a user off a guardian's list. Doing it again changes nothing.
-- KEYS [1]  the list: wards, by when they were last noted (ms)
-- ARGV [1]  the ward
--      [2]  a time (ms): what was noted since then stays
-- returns   1 if it was struck off, else 0
local noted = redis.call('ZSCORE', KEYS[1], ARGV[1])
if noted and tonumber(noted) < tonumber(ARGV[2]) then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
