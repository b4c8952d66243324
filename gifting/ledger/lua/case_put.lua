#!lua
-- case_put: keep a support case that a user opens. The same again changes nothing.
-- KEYS [1]  the user's cases, and how many of them are open
--      [2]  whose the cases of that id's partition are
--      [3]  the open cases of all users, by when they came
-- ARGV [1]  msgpack [user, id, digest of what was said (16 bytes; zeros: erased), case (bytes), when (ms), open at most
--           of all users, of one user, kept at most of one user]
-- returns   msgpack [status]
-- @include status
local user, id, digest, case, at, open_max, own_max, kept_max = unpack(cmsgpack.unpack(ARGV[1]))
local kept = redis.call('HGET', KEYS[1], id)
if kept then
  local before = string.sub(kept, 1, 16)
  local same = before == digest or before == string.rep('\0', 16)
  return cmsgpack.pack({ same and Status.OK or Status.KEY_REUSED })
end
local own = tonumber(redis.call('HGET', KEYS[1], 'open') or 0)
if own >= own_max or redis.call('HLEN', KEYS[1]) > kept_max or redis.call('ZCARD', KEYS[3]) >= open_max then
  return cmsgpack.pack({ Status.LIST_FULL })
end
redis.call('HSET', KEYS[1], id, digest .. case, 'open', own + 1)
redis.call('HSET', KEYS[2], id, user)
redis.call('ZADD', KEYS[3], at, user .. '\n' .. id)
return cmsgpack.pack({ Status.OK })
