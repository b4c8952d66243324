#!lua flags=no-writes
-- snapshot: all that a subscriber needs to draw a room.
-- KEYS [1]  the host's partition
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, top at most, presence stale after ms]
-- returns   msgpack [state, host, host's name, title, started, seq, coins, diamonds, likes, viewers, top, streaks], or nil;
--           top as top_of gives it, streaks as wire bytes of events
-- @include clock
-- @include room
-- @include streaks
-- @include top
-- @include viewers
local now = clock(ARGV[1])
local id, limit, stale = unpack(cmsgpack.unpack(ARGV[2]))
local key = rooms.key(KEYS[1], id)

local function open_streaks(room)
  local numbers, statics, open = {}, {}, {}
  local flat = redis.call('HGETALL', streaks.key(room))
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, 1) == '=' then
      statics[string.sub(flat[i], 2)] = flat[i + 1]
    else
      numbers[flat[i]] = flat[i + 1]
    end
  end
  for field, record in pairs(numbers) do
    local first, count, _, last = cmsgpack.unpack(record)
    local streak_id = rooms.event_id(room, first)
    open[#open + 1] = gift_event(statics[field], NO_MESSAGE, 0, 0, count, false, streak_id, 0)
      .. cmsgpack.pack('seq', first, 'ts', last, 'id', streak_id)
  end
  return open
end

local found = redis.call('HMGET', key, 'state', 'host', 'host_name', 'title', 'started', 'seq', 'coins', 'diamonds', 'likes')
if not found[1] then
  return cmsgpack.pack(nil)
end
for i = 5, 9 do
  found[i] = tonumber(found[i])
end
found[10] = viewers_of(key, now, stale)
found[11] = top_of(key, limit)
found[12] = open_streaks({ key = key, id = id })
return cmsgpack.pack(found)
