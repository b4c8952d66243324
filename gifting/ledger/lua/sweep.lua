#!lua
-- sweep: end the streaks of a partition whose window has passed. Every node does this; each streak ends once.
-- KEYS [1]  the partition
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [streaks at most, log keep]
-- returns   msgpack [streaks ended, ms until the next deadline or -1, 1 if more are due]
-- @include clock
-- @include partition
-- @include room
-- @include streaks
local now = clock(ARGV[1])
local limit, log_keep = unpack(cmsgpack.unpack(ARGV[2]))
local p = partition.new(KEYS[1])
local deadlines = KEYS[1] .. ':streaks'

local due = redis.call('ZRANGEBYSCORE', deadlines, '-inf', '(' .. digits(now), 'LIMIT', 0, limit)
for _, member in ipairs(due) do
  local id, field = string.match(member, '^([^\n]*)\n(.*)$')
  local r = room.open(p, id)
  if r and streaks.find(r, field) then
    streaks.finish(r, field, now)
  else
    redis.call('ZREM', deadlines, member)
  end
end
streaks.flush(p, 0)
room.flush(p, log_keep)
local next_due = redis.call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')
local wait = next_due[2] and math.max(tonumber(next_due[2]) - now + 1, 0) or -1
return cmsgpack.pack({ #due, wait, #due == limit and 1 or 0 })
