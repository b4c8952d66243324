#!lua
-- report_put: keep what a user reports, for operators. The same again changes nothing.
-- KEYS [1]  the reports
--      [2]  their ids, by when they came
--      [3]  how many of each user are open
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [id, user, report (bytes), open at most, of one user]
-- returns   msgpack [status]
-- @include status
-- @include clock
local now = clock(ARGV[1])
local id, user, report, reports_max, user_max = unpack(cmsgpack.unpack(ARGV[2]))
if redis.call('HEXISTS', KEYS[1], id) == 1 then
  return cmsgpack.pack({ Status.OK })
end
local own = tonumber(redis.call('HGET', KEYS[3], user) or 0)
if own >= user_max or redis.call('ZCARD', KEYS[2]) >= reports_max then
  return cmsgpack.pack({ Status.LIST_FULL })
end
redis.call('HSET', KEYS[1], id, report)
redis.call('ZADD', KEYS[2], now, id)
redis.call('HSET', KEYS[3], user, own + 1)
return cmsgpack.pack({ Status.OK })
