#!lua
-- room_open: begin a stream. Doing it again changes nothing.
-- KEYS [1]  the room
--      [2]  the live rooms of the host's partition, by start
--      [3]  by viewers
--      [4]  and how many each host has
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, host, host's name, title, live rooms of a host at most, whether an archive follows, whether
--           it is to know its epochs: see room.lua]
-- returns   msgpack [status]
-- @include status
-- @include clock
-- @include digits
-- @include replication
local now = clock(ARGV[1])
local room, host, name, title, rooms_max, followed, apart = unpack(cmsgpack.unpack(ARGV[2]))

local found = redis.call('HMGET', KEYS[1], 'state', 'host')
if found[1] then
  if found[2] ~= host then
    return cmsgpack.pack({ Status.ROOM_TAKEN })
  end
  return cmsgpack.pack({ found[1] == 'live' and Status.OK or Status.ROOM_ENDED })
end
if tonumber(redis.call('HGET', KEYS[4], host) or 0) >= rooms_max then
  return cmsgpack.pack({ Status.TOO_MANY_LIVE_ROOMS })
end
redis.call('HSET', KEYS[1], 'state', 'live', 'host', host, 'host_name', name, 'title', title, 'started', now,
  'seq', 0, 'coins', 0, 'diamonds', 0, 'likes', 0, 'rank', '')
if followed then
  redis.call('HSET', KEYS[1], 'archived', 0)
end
if apart then
  redis.call('HSET', KEYS[1], 'lineage', replication_id() .. digits(now), 'epochs', cmsgpack.pack({ { now, 0 } }))
end
redis.call('ZADD', KEYS[2], now, room)
redis.call('ZADD', KEYS[3], 0, room)
redis.call('HINCRBY', KEYS[4], host, 1)
return cmsgpack.pack({ Status.OK })
