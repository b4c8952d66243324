#!lua
-- comment_decide: post a comment that is held, as its author's, or drop it.
-- KEYS [1]  the room, seven keys as room.open and house.open take them
--      [8]  what is held for its host
--      [9]  the deadlines of the host's partition, which name its channel
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, host, the comment's id, post 0|1, who decides as a moderator ('': who always may), log keep]
-- returns   msgpack [status, the comment's seq; 0: it is dropped, -1: it is not held]; or nil: that is no moderator, or
--           its author
-- @include admission
-- @include status
-- @include clock
-- @include room
-- @include house
local now = clock(ARGV[1])
local id, host, held, approve, by, log_keep = unpack(cmsgpack.unpack(ARGV[2]))
local p = { rooms = {}, streaks = KEYS[9] }
local r = room.open(p, 1, id)

local function find()
  local item = redis.call('XRANGE', KEYS[8], held, held)[1]
  if item and item[2][2] == id then
    return { user = item[2][4], event = item[2][8], shown = item[2][10] or '' }
  end
  return nil
end

-- That who is blocked by name was meant is not to be seen in what was said without one.
local function post(comment)
  local refused = admission.room(r, host)
  if not refused and comment.shown == '' and decided.person(redis.call('HGET', r.people_key, comment.user)).blocked then
    refused = Status.BLOCKED
  end
  if refused then
    return { refused, 0 }
  end
  redis.call('XDEL', KEYS[8], held)
  room.append(r, room.stamp(now), comment.event)
  room.flush(p, log_keep)
  return { Status.OK, r.seq }
end

if not r or r.host ~= host then
  return cmsgpack.pack({ Status.ROOM_NOT_FOUND, 0 })
end
house.open(r, 1 + room.KEYS)
local comment = find()
if by ~= '' and not decided.person(redis.call('HGET', r.people_key, by)).moderator then
  return cmsgpack.pack(nil)
elseif by ~= '' and comment and comment.user == by then
  return cmsgpack.pack(nil)
elseif not comment then
  return cmsgpack.pack({ Status.OK, -1 })
elseif approve == 1 then
  return cmsgpack.pack(post(comment))
end
redis.call('XDEL', KEYS[8], held)
return cmsgpack.pack({ Status.OK, 0 })
