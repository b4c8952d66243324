#!lua
-- person_put: decide about a user in all rooms of a host: blocked, muted, moderator. It holds for what is decided after
-- this call.
-- KEYS [1]  the host's people; a field '#moderators' says how many of them are
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [user, blocked 0|1, muted for ms, moderator 0|1 (nil of each: it stays), who decides as a moderator
--           ('': who always may), people at most, moderators at most, the pseudonym by which it is about what `user`,
--           a field of decided.lua's, does anonymously; nil: it is about the user]
-- returns   msgpack [status, then what is decided: blocked 0|1, muted until, moderator 0|1]; or nil: that is no
--           moderator, or decides about one
-- @include status
-- @include clock
-- @include chunks
-- @include decided
local now = clock(ARGV[1])
local user, blocked, mute, moderator, by, people_max, moderators_max, shown = unpack(cmsgpack.unpack(ARGV[2]), 1, 8)
local COUNT = '#moderators' -- no user's id

local function find(who)
  return decided.person(redis.call('HGET', KEYS[1], who))
end

-- Mutes that are over are forgotten when their place is needed: a look at all of them, which is bounded.
local function has_room()
  if redis.call('HLEN', KEYS[1]) < people_max then
    return true
  end
  local flat, over = redis.call('HGETALL', KEYS[1]), {}
  for i = 1, #flat, 2 do
    local person = flat[i] ~= COUNT and decided.person(flat[i + 1])
    if person and person.muted <= now and not (person.blocked or person.moderator) then
      over[#over + 1] = flat[i]
    end
  end
  call_in_chunks('HDEL', KEYS[1], over)
  return #over > 0
end

local function changed(person)
  local after = { blocked = person.blocked, muted = person.muted, moderator = person.moderator }
  if blocked then
    after.blocked = blocked == 1
  end
  if mute then
    after.muted = now + mute
  end
  if moderator then
    after.moderator = moderator == 1
  end
  after.moderator = after.moderator and not after.blocked
  after.muted = after.muted > now and after.muted or 0
  return after
end

local function count(person, after)
  local step = (after.moderator and 1 or 0) - (person.moderator and 1 or 0)
  if step ~= 0 then
    redis.call('HINCRBY', KEYS[1], COUNT, step)
  end
end

local function values(person)
  return { person.blocked and 1 or 0, person.muted, person.moderator and 1 or 0 }
end

local function write(person, after)
  count(person, after)
  if not (after.blocked or after.moderator) and after.muted == 0 then
    redis.call('HDEL', KEYS[1], user)
    return
  end
  local record = values(after)
  record[4] = shown
  redis.call('HSET', KEYS[1], user, cmsgpack.pack(record))
end

local person = find(user)
if by ~= '' and (person.moderator or not find(by).moderator) then
  return cmsgpack.pack(nil)
end
local after = changed(person)
if after.moderator and not person.moderator and tonumber(redis.call('HGET', KEYS[1], COUNT) or 0) >= moderators_max then
  return cmsgpack.pack({ Status.LIST_FULL })
end
if redis.call('HEXISTS', KEYS[1], user) == 0 and not has_room() then
  return cmsgpack.pack({ Status.LIST_FULL })
end
write(person, after)
return cmsgpack.pack({ Status.OK, unpack(values(after)) })
