#!lua flags=no-writes
-- snapshot: all that a subscriber needs to draw a room.
-- KEYS [1]  the room
--      [2]  its open streaks
--      [3]  its ranking
--      [4]  its users
--      [5]  its presence
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, top at most, presence stale after ms]
-- returns   msgpack [state, host, host's name, title, started, seq, coins, diamonds, likes, viewers, top, streaks,
--           rules, epoch], or nil; top as top_of gives it, streaks as wire bytes of events, rules as in decided.lua, or
--           false; epoch as in room.lua, or nil where rooms have none
-- @include clock
-- @include room
-- @include streaks
-- @include top
-- @include viewers
local now = clock(ARGV[1])
local id, limit, stale = unpack(cmsgpack.unpack(ARGV[2]))

-- The heaviest ones: however many send at once, a snapshot has a bound.
local STREAKS_MAX = 100
local function heaviest(open)
  table.sort(open, function(a, b) return a.coins > b.coins or (a.coins == b.coins and a.first < b.first) end)
  local events = {}
  for i = 1, math.min(#open, STREAKS_MAX) do
    local streak = open[i]
    local r = room.blank(id, streak.first - 1)
    streaks.append(r, room.stamp(streak.last), streak, false, 0, streak.static, streaks.NOTHING_SENT, '')
    events[i] = table.concat(r.pieces)
  end
  return events
end

local function open_streaks()
  local numbers, statics, open = {}, {}, {}
  local flat = redis.call('HGETALL', KEYS[2])
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, 1) == '=' then
      statics[string.sub(flat[i], 2)] = flat[i + 1]
    else
      numbers[flat[i]] = flat[i + 1]
    end
  end
  for field, record in pairs(numbers) do
    local streak = streaks.read(record)
    streak.static = statics[field]
    open[#open + 1] = streak
  end
  return heaviest(open)
end

local found = redis.call('HMGET', KEYS[1], 'state', 'host', 'host_name', 'title', 'started', 'seq', 'coins', 'diamonds',
  'likes', 'rules', 'lineage')
local epoch = found[11] and (tonumber(string.sub(found[11], 41)) or 0)
local rules = found[10] and cmsgpack.unpack(found[10])
if not found[1] then
  return cmsgpack.pack(nil)
end
for i = 5, 9 do
  found[i] = tonumber(found[i])
end
found[10] = viewers_of(KEYS[5], now, stale)
found[11] = top_of(KEYS[3], KEYS[4], limit)
found[12] = open_streaks()
found[13] = rules
found[14] = epoch
return cmsgpack.pack(found)
