#!lua
-- sandbox_put: write what the sandbox knows of a checkout, unless somebody else wrote meanwhile. The oldest go.
-- KEYS [1]  checkouts: id -> what is known, msgpack
--      [2]  checkouts of which something is to be told, by when (ms)
--      [3]  checkouts by when they last changed, or will (ms)
-- ARGV [1]  id
--      [2]  what it was computed from, as it is kept; '' for nothing
--      [3]  what is known now
--      [4]  when something is to be told, ms; '' for nothing any more
--      [5]  when it last changes, ms
--      [6]  how many checkouts are kept
-- returns   1 if it is written, 0 if it had changed
local id, was, known, due, changes = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if (redis.call('HGET', KEYS[1], id) or '') ~= was then
  return 0
end
redis.call('HSET', KEYS[1], id, known)
redis.call('ZADD', KEYS[3], changes, id)
if due == '' then
  redis.call('ZREM', KEYS[2], id)
else
  redis.call('ZADD', KEYS[2], due, id)
end
for _, old in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1 - tonumber(ARGV[6]))) do
  redis.call('ZREM', KEYS[3], old)
  redis.call('ZREM', KEYS[2], old)
  redis.call('HDEL', KEYS[1], old)
end
return 1
