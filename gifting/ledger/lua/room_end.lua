#!lua
-- room_end: end a stream: its open streaks end, stream_end goes out, nothing more is taken. Doing it again changes nothing.
-- KEYS [1]  the host's partition
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, event bytes of stream_end, log keep, retention ms]
-- returns   msgpack [status]
-- @include status
-- @include clock
-- @include digits
-- @include hashes
-- @include room
-- @include streaks
local now = clock(ARGV[1])
local id, event, log_keep, retention = unpack(cmsgpack.unpack(ARGV[2]))
local room = rooms.open(KEYS[1], id)

local function end_streaks()
  local open = {}
  for _, field in ipairs(redis.call('HKEYS', streaks.key(room))) do
    if string.sub(field, 1, 1) ~= '=' then
      open[#open + 1] = field
    end
  end
  table.sort(open, function(a, b) return streaks.find(room, a).first < streaks.find(room, b).first end)
  for _, field in ipairs(open) do
    streaks.finish(room, field, now)
  end
end

if not room then
  return cmsgpack.pack({ Status.ROOM_NOT_FOUND })
end
if room.state == 'live' then
  end_streaks()
  rooms.append(room, event, now, 0, 0, 0)
  room.state = 'ended'
  hashes.flush()
  streaks.flush()
  rooms.flush(log_keep)
  redis.call('HSET', room.key, 'ended', digits(now))
  redis.call('ZREM', KEYS[1] .. ':live', id)
  for _, part in ipairs({ ':log', ':top', ':users', ':presence' }) do
    redis.call('PEXPIRE', room.key .. part, digits(retention))
  end
end
return cmsgpack.pack({ Status.OK })
