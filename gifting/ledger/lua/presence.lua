#!lua
-- presence: a node says how many viewers it has in a room, and learns how many there are.
-- KEYS [1]  the host's partition
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, node, viewers here, stale after ms]
-- returns   viewers on all nodes
-- @include clock
-- @include digits
-- @include viewers
local now = clock(ARGV[1])
local room, node, count, stale = unpack(cmsgpack.unpack(ARGV[2]))
local key = KEYS[1] .. ':room:' .. room

local live = redis.call('HGET', key, 'state') == 'live'
if live and count > 0 then
  redis.call('HSET', key .. '/presence', node, digits(count) .. ' ' .. digits(now))
else
  redis.call('HDEL', key .. '/presence', node)
end
local total, gone = viewers_of(key, now, stale)
if #gone > 0 then
  redis.call('HDEL', key .. '/presence', unpack(gone))
end
if live then
  redis.call('ZADD', KEYS[1] .. ':watched', total, room)
end
return total
