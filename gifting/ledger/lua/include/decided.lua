-- decided: what the host of a room has decided, if anything: the room's rules, and about people in all its rooms.
--   decided.rules(record)            a room's rules
--   decided.masked(user)             the field of people which has what is decided about a user's pseudonyms
--   decided.person(record)           blocked, muted until and moderator, as a field of the people, or none, has them
--   decided.no_gift(r, gift, now)    why the room takes no such gift: a status and what ends it, or nil; to be asked if
--                                    there are rules, or something is decided about the user, or it is anonymous
--   decided.no_post(r, post, now)    why it takes no such event: likewise. `post`: user, age, spoken 0|1
--   decided.commented(r, post, now)  such an event was taken
--   decided.flush(r, now)            write who commented
-- What ends it is the time, the age or the coins; 0 where nothing is known. `r` is as house.open leaves it. A room's
-- record has its rules as one field: gifting 0|1, age, coins, ms between comments, regions, each between blanks; a
-- person's: blocked 0|1, muted until, moderator 0|1. What is decided about somebody by a pseudonym is a record of its
-- own, in the field '~user', with that pseudonym behind; it holds for what this user gives anonymously, and for nothing
-- else.
-- @include status
local decided = {}
local PACE_KEPT = 86400000 -- ms, above any pause: expiry goes by Redis' own clock, which is not always `now`
local MASKED = '~' -- in no user's id
local NO_MESSAGE = 0xc0 -- the last byte of a gift that says nothing: it is in no text

function decided.rules(record)
  local gifting, age, coins, pause, regions = unpack(cmsgpack.unpack(record))
  return { gifting = gifting == 1, age = age, coins = coins, pause = pause, regions = regions }
end

function decided.person(record)
  if not record then
    return { blocked = false, muted = 0, moderator = false }
  end
  local blocked, muted, moderator = unpack(cmsgpack.unpack(record))
  return { blocked = blocked == 1, muted = muted, moderator = moderator == 1 }
end

function decided.masked(user)
  return MASKED .. user
end

local function ruled_out(rules, gift)
  if rules.age > gift.terms.age then
    return Status.ROOM_AGE, rules.age
  elseif rules.regions ~= '' and not string.find(rules.regions, ' ' .. gift.terms.region .. ' ', 1, true) then
    return Status.ROOM_REGION, 0
  elseif rules.coins > 0 and gift.coins > rules.coins then
    return Status.ROOM_MAX_GIFT, rules.coins
  end
  return nil
end

local function muted(person, now)
  if person and person.muted > now then
    return Status.MUTED, person.muted
  end
  return nil
end

function decided.no_gift(r, gift, now)
  local rules, person = r.rules, r.people[gift.user]
  local masked = gift.shown and r.people[MASKED .. gift.user]
  if rules and not rules.gifting then
    return Status.GIFTING_OFF, 0
  elseif person and person.blocked or masked and masked.blocked then
    return Status.BLOCKED, 0
  end
  local refused, ends
  if rules then
    refused, ends = ruled_out(rules, gift)
  end
  if not refused and string.byte(gift.sent, -1) ~= NO_MESSAGE then
    refused, ends = muted(person, now)
    if masked and not refused then
      refused, ends = muted(masked, now)
    end
  end
  return refused, ends
end

local function too_soon(r, user, now)
  local last = tonumber(r.commented[user] or redis.call('ZSCORE', r.pace_key, user) or 0)
  if now - last < r.rules.pause then
    return Status.SLOW_MODE, last + r.rules.pause
  end
  return nil
end

-- The host's own word is never refused, and moderators don't wait.
function decided.no_post(r, post, now)
  local rules, person = r.rules, r.people[post.user]
  if post.user == r.host or not (rules or person) then
    return nil
  elseif person and person.blocked then
    return Status.BLOCKED, 0
  elseif post.spoken ~= 1 then
    return nil
  elseif rules and rules.age > post.age then
    return Status.ROOM_AGE, rules.age
  end
  local refused, ends = muted(person, now)
  if not refused and rules and rules.pause > 0 and not (person and person.moderator) then
    refused, ends = too_soon(r, post.user, now)
  end
  return refused, ends
end

function decided.commented(r, post, now)
  if post.spoken == 1 and r.rules and r.rules.pause > 0 then
    r.commented[post.user] = now
  end
end

-- The key has what the pause still needs, and is gone a day after the last comment.
function decided.flush(r, now)
  if r.rules and next(r.commented) then
    local pause = r.rules.pause
    redis.call('ZREMRANGEBYSCORE', r.pace_key, '-inf', now - pause)
    for user, at in pairs(r.commented) do
      redis.call('ZADD', r.pace_key, at, user)
    end
    redis.call('PEXPIRE', r.pace_key, PACE_KEPT)
  end
end
