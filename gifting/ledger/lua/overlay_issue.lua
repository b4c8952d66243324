#!lua
-- overlay_issue: note a token for overlays, so that its room can revoke it as long as it lives.
-- KEYS [1]  the host's overlay tokens
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, token id, ms it lives, ms it is kept beyond that, tokens of a room at most, of a host at
--           most]
-- returns   msgpack [1 if it was noted; 0 if there are too many, now]
-- @include clock
local now = clock(ARGV[1])
local room, token, life, beyond, room_max, host_max = unpack(cmsgpack.unpack(ARGV[2]))

local function of_room()
  local found, start = 0, room .. '~'
  for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if string.sub(other, 1, #start) == start then
      found = found + 1
    end
  end
  return found
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - beyond)
if redis.call('ZCARD', KEYS[1]) >= host_max or of_room() >= room_max then
  return cmsgpack.pack({ 0, now })
end
redis.call('ZADD', KEYS[1], now + life, token)
return cmsgpack.pack({ 1, now })
