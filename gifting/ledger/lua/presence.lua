#!lua
-- presence: a node says how many viewers it has in a room, and learns how many there are.
-- KEYS [1]  the room
--      [2]  its presence
--      [3]  the live rooms of the host's partition, by viewers
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, node, viewers here, stale after ms]
-- returns   viewers on all nodes
-- @include clock
-- @include chunks
-- @include digits
-- @include viewers
local now = clock(ARGV[1])
local room, node, count, stale = unpack(cmsgpack.unpack(ARGV[2]))

local live = redis.call('HGET', KEYS[1], 'state') == 'live'
if live and count > 0 then
  redis.call('HSET', KEYS[2], node, digits(count) .. ' ' .. digits(now))
else
  redis.call('HDEL', KEYS[2], node)
end
local total, gone = viewers_of(KEYS[2], now, stale)
call_in_chunks('HDEL', KEYS[2], gone)
if live then
  redis.call('ZADD', KEYS[3], total, room)
end
return total
