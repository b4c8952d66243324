#!lua
-- comment_remove: what was said in an event is to be seen no longer. While the room is live an event tells of it. Doing
-- it again changes nothing.
-- KEYS [1]  the room, seven keys as room.open and house.open take them
--      [8]  what is removed of its log: seqs
--      [9]  the deadlines of the host's partition, which name its channel
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, host, the event's seq, who does it as a moderator ('': who always may), event bytes of
--           comment_removed, log keep]
-- returns   msgpack [status]; or nil: that is no moderator
-- @include status
-- @include clock
-- @include room
-- @include house
local now = clock(ARGV[1])
local id, host, seq, by, event, log_keep = unpack(cmsgpack.unpack(ARGV[2]))
local p = { rooms = {}, streaks = KEYS[9] }
local r = room.open(p, 1, id)

-- What the log has no longer needs not be known. It is cut by whole batches, so where it begins tells its first one.
local function forget_old()
  local oldest = redis.call('XRANGE', r.log_key, '-', '+', 'COUNT', 1)[1]
  local last, count = string.match(oldest and oldest[1] or '', '^(%d+)-(%d+)$')
  if last then
    redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', '(' .. digits(last - count + 1))
  end
end

local function announce()
  room.append(r, room.stamp(now), event, seq)
  room.flush(p, log_keep)
end

if not r or r.host ~= host then
  return cmsgpack.pack({ Status.ROOM_NOT_FOUND })
end
house.open(r, 1 + room.KEYS)
if by ~= '' and not decided.person(redis.call('HGET', r.people_key, by)).moderator then
  return cmsgpack.pack(nil)
end
if redis.call('ZADD', KEYS[8], seq, digits(seq)) == 1 then
  forget_old()
  if r.state == 'live' then
    announce()
  else
    redis.call('PEXPIRE', KEYS[8], redis.call('PTTL', r.log_key) + 1000)
  end
end
return cmsgpack.pack({ Status.OK })
