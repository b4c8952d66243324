#!lua
-- room_end: end a stream: its open streaks end, stream_end goes out, nothing more is taken. Doing it again changes nothing.
-- KEYS [1]  the host's partition
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, event bytes of stream_end, log keep, retention ms]
-- returns   msgpack [status]
-- @include status
-- @include clock
-- @include partition
-- @include room
-- @include streaks
local now = clock(ARGV[1])
local id, event, log_keep, retention = unpack(cmsgpack.unpack(ARGV[2]))
local p = partition.new(KEYS[1])
local r = room.open(p, id)

local function end_streaks()
  local open = {}
  for _, field in ipairs(redis.call('HKEYS', r.key .. '/streaks')) do
    if string.sub(field, 1, 1) ~= '=' then
      open[#open + 1] = field
    end
  end
  table.sort(open, function(a, b) return streaks.find(r, a).first < streaks.find(r, b).first end)
  for _, field in ipairs(open) do
    streaks.finish(r, field, now)
  end
end

if not r then
  return cmsgpack.pack({ Status.ROOM_NOT_FOUND })
end
if r.state == 'live' then
  end_streaks()
  room.append(r, 0, 0, 0, event, cmsgpack.pack(room.stamp(r, now)))
  r.state = 'ended'
  streaks.flush(p, 0)
  room.flush(p, log_keep)
  redis.call('HSET', r.key, 'ended', now)
  redis.call('ZREM', KEYS[1] .. ':live', id)
  redis.call('ZREM', KEYS[1] .. ':watched', id)
  if redis.call('HINCRBY', KEYS[1] .. ':hosting', r.host, -1) <= 0 then
    redis.call('HDEL', KEYS[1] .. ':hosting', r.host)
  end
  for _, part in ipairs({ '/log', '/top', '/users', '/presence' }) do
    redis.call('PEXPIRE', r.key .. part, retention)
  end
end
return cmsgpack.pack({ Status.OK })
