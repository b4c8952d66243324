#!lua
-- case_close: keep what became of a support case, if it is still what that was decided from.
-- KEYS [1]  the user's cases, and how many of them are open
--      [2]  the open cases of all users, by when they came
-- ARGV [1]  msgpack [user, id, the case before, after (bytes, with their digests), whether it is closed,
--           whether it is decided]
-- returns   msgpack [status]
-- @include status
local user, id, before, after, closed, decided = unpack(cmsgpack.unpack(ARGV[1]))
if redis.call('HGET', KEYS[1], id) ~= before then
  return cmsgpack.pack({ Status.CONFLICT })
end
redis.call('HSET', KEYS[1], id, after)
if closed and redis.call('ZREM', KEYS[2], user .. '\n' .. id) == 1 then
  redis.call('HINCRBY', KEYS[1], 'open', -1)
end
if decided and not closed then -- before all that nobody has looked at
  redis.call('ZADD', KEYS[2], 'XX', 0, user .. '\n' .. id)
end
return cmsgpack.pack({ Status.OK })
