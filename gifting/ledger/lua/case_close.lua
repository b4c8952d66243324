#!lua
-- case_close: keep what became of a support case, if it is still what that was decided from.
-- KEYS [1]  the user's cases, and how many of them are open
--      [2]  the open cases of all users, by when they came
--      [3]  those that are decided, and not closed yet
-- ARGV [1]  msgpack [user, id, the case before, after (bytes, with their digests), whether it is closed,
--           when it was decided (ms; 0: it is not)]
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
if closed then
  redis.call('ZREM', KEYS[3], user .. '\n' .. id)
elseif decided > 0 then
  redis.call('ZADD', KEYS[3], decided, user .. '\n' .. id)
end
return cmsgpack.pack({ Status.OK })
