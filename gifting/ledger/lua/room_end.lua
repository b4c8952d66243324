#!lua
-- room_end: end a stream: its open streaks end, stream_end goes out, nothing more is taken. Doing it again changes
-- nothing.
-- KEYS [1]  the room
--      [2]  its log
--      [3]  its open streaks
--      [4]  its ranking
--      [5]  its users
--      [6]  its presence
--      [7]  the deadlines of the host's partition
--      [8]  the live rooms there, by start
--      [9]  by viewers
--      [10] and how many each host has
--      [11] what is removed of its log
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, event bytes of stream_end, log keep, retention ms, and ms that its log may wait
--           for an archive beyond that]
-- returns   msgpack [status]
-- @include status
-- @include clock
-- @include room
-- @include streaks
local now = clock(ARGV[1])
local id, event, log_keep, retention, wait = unpack(cmsgpack.unpack(ARGV[2]))
local p = { streaks = KEYS[7], rooms = {} }
local r = room.open(p, 1, id)
local stamp = room.stamp(now)

local function end_streaks()
  local open = {}
  for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if string.sub(field, 1, 1) ~= '=' then
      open[#open + 1] = field
    end
  end
  table.sort(open, function(a, b) return streaks.find(r, a).first < streaks.find(r, b).first end)
  for _, field in ipairs(open) do
    streaks.finish(r, field, stamp)
  end
end

if not r then
  return cmsgpack.pack({ Status.ROOM_NOT_FOUND })
end
if r.state == 'live' then
  end_streaks()
  room.append(r, stamp, event)
  r.state = 'ended'
  streaks.flush(p, 0)
  room.flush(p, log_keep)
  redis.call('HSET', KEYS[1], 'ended', now)
  redis.call('ZREM', KEYS[8], id)
  redis.call('ZREM', KEYS[9], id)
  if redis.call('HINCRBY', KEYS[10], r.host, -1) <= 0 then
    redis.call('HDEL', KEYS[10], r.host)
  end
  for _, key in ipairs({ KEYS[2], KEYS[4], KEYS[5], KEYS[6], KEYS[11] }) do
    redis.call('PEXPIRE', key, retention)
  end
  local archived = redis.call('HGET', KEYS[1], 'archived')
  if archived and tonumber(archived) < r.seq then -- room_archived takes the wait away again
    redis.call('HSET', KEYS[1], 'wait', wait)
    redis.call('PEXPIRE', KEYS[2], retention + wait)
    redis.call('PEXPIRE', KEYS[11], retention + wait)
  end
end
return cmsgpack.pack({ Status.OK })
