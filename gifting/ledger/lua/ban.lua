#!lua
-- ban: note that a user is banned, or is no longer, under the next revision, by which nodes find what is new.
-- KEYS [1]  who is banned, by revision; its member ~ has the last one
--      [2]  who was banned and is no longer, by revision
-- ARGV [1]  msgpack [user, banned 0|1, banned at most, kept of those that are no longer]
-- returns   msgpack [status]
-- @include status
-- @include digits
local user, banned, banned_max, kept = unpack(cmsgpack.unpack(ARGV[1]))
local from, to = KEYS[2], KEYS[1]
if banned == 0 then
  from, to = to, from
elseif redis.call('ZCARD', KEYS[1]) > banned_max then
  return cmsgpack.pack({ Status.LIST_FULL })
end
local moved = redis.call('ZREM', from, user)
if redis.call('ZSCORE', to, user) == false and (banned == 1 or moved == 1) then
  redis.call('ZADD', to, redis.call('ZINCRBY', KEYS[1], 1, '~'), user)
end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, digits(-kept - 1))
return cmsgpack.pack({ Status.OK })
