#!lua flags=allow-oom
-- erase: note that what is personal of a user is to be erased, of all up to now. Of each user the last is known.
-- KEYS [1]  who is erased, by when
--      [2]  who asked for it, and why
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [user, bytes of who and why]
-- returns   msgpack [up to when; no two are the same, and later ones are later whatever the clock does]
-- @include clock
-- @include digits
local now = clock(ARGV[1])
local user, why = unpack(cmsgpack.unpack(ARGV[2]))
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
local at = math.max(now, (tonumber(last) or 0) + 1)
redis.call('ZADD', KEYS[1], digits(at), user)
redis.call('HSET', KEYS[2], user, why)
return cmsgpack.pack({ at })
