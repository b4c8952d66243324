#!lua
-- comment_hold: keep a comment for the room's host to decide about, if its author may comment there.
-- KEYS [1]  the room, seven keys as room.open and house.open take them
--      [8]  what is held for its host
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [room, host, user, age, event bytes of the comment, why, held at most, of one user, for ms, the
--           pseudonym that the room sees; '': it sees the user]
-- returns   msgpack [status, what ends a refusal as decided.lua says]
-- @include admission
-- @include status
-- @include clock
-- @include room
-- @include house
local now = clock(ARGV[1])
local id, host, user, age, event, why, held_max, user_max, kept, shown = unpack(cmsgpack.unpack(ARGV[2]))
local r = room.open({ rooms = {} }, 1, id)
local post = { user = user, age = age, spoken = 1 }

-- A user's oldest makes room for its newest, so nobody fills the list alone.
local function make_room()
  redis.call('XTRIM', KEYS[8], 'MINID', now - kept)
  local own, n = {}, 0
  for _, item in ipairs(redis.call('XRANGE', KEYS[8], '-', '+')) do
    if item[2][4] == user then
      n = n + 1
      own[n] = item[1]
    end
  end
  for i = 1, n - user_max + 1 do
    redis.call('XDEL', KEYS[8], own[i])
  end
end

-- Ids are times; after a clock that went back the next is the last one's.
local function add(item_id)
  return redis.pcall('XADD', KEYS[8], 'MAXLEN', held_max, item_id, 'r', id, 'u', user, 'w', why, 'e', event, 's', shown)
end

local refused, ends = admission.room(r, host), 0
if not refused then
  house.open(r, 1 + room.KEYS)
  house.want(r, user)
  house.load(r)
  refused, ends = decided.no_post(r, post, now)
end
if refused then
  return cmsgpack.pack({ refused, ends })
end
make_room()
if type(add(now .. '-*')) == 'table' then
  add('*')
end
redis.call('PEXPIRE', KEYS[8], kept)
decided.commented(r, post, now)
decided.flush(r, now)
return cmsgpack.pack({ Status.OK, 0 })
