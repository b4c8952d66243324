#!lua
-- move_end: all books that are moved here have come, and are open from now on. Again changes nothing.
-- KEYS [1]  meta
--      [2]  the line of its partition
-- ARGV [1]  msgpack [fields of meta and their values, as the books had them where they were; now, ms since 1970]
-- returns   1; 0: it was done before
local fields, now = unpack(cmsgpack.unpack(ARGV[1]))
if redis.call('HSETNX', KEYS[2], 'born', now) == 0 then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(fields))
return 1
