#!lua
-- sweep: end the streaks of a partition whose window has passed. Every node does this; each streak ends once.
-- KEYS [1]  the partition's deadlines
--      [2+] the rooms that are named below, five keys each: state, log, streaks, top, users
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [log keep, room ids, streaks that may be over: [index of the room, field] each]
-- returns   msgpack [streaks ended, ms until the partition's next deadline or -1]
-- @include clock
-- @include room
-- @include streaks
local now = clock(ARGV[1])
local log_keep, ids, members = unpack(cmsgpack.unpack(ARGV[2]))
local p = { streaks = KEYS[1], rooms = {} }
local opened, ended, stamp = {}, 0, room.stamp(now)

for i, id in ipairs(ids) do
  opened[i] = room.open(p, 2 + (i - 1) * room.KEYS, id) or false
end
for _, member in ipairs(members) do
  local at, field = unpack(member)
  local name = ids[at] .. '\n' .. field
  local deadline = redis.call('ZSCORE', p.streaks, name)
  if deadline and tonumber(deadline) < now then
    if opened[at] and streaks.find(opened[at], field) then
      streaks.finish(opened[at], field, stamp)
    else
      redis.call('ZREM', p.streaks, name)
    end
    ended = ended + 1
  end
end
streaks.flush(p, 0)
room.flush(p, log_keep)
local next_due = redis.call('ZRANGE', p.streaks, 0, 0, 'WITHSCORES')
return cmsgpack.pack({ ended, next_due[2] and math.max(tonumber(next_due[2]) - now + 1, 0) or -1 })
