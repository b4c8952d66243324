-- house: what the host of a room wants there, as include/decided.lua has it, while a script changes the room.
--   house.open(r, at)              of a room: two keys from KEYS[at] on, the host's people, and who commented last
--   house.want(r, user)            this user will do something there; to be said of all before they are loaded
--   house.want_masked(r, user)     likewise this one, as somebody whom the room does not know
--   house.load(r)
-- @include chunks
-- @include decided, late
local house = { KEYS = 2 }

function house.open(r, at)
  r.people_key, r.pace_key, r.people = KEYS[at], KEYS[at + 1], {}
  r.asked = redis.call('HLEN', KEYS[at]) > 0 and {}
  if r.rules then
    r.rules, r.commented = decided.rules(r.rules), {}
  end
end

function house.want(r, user)
  if r.asked and r.people[user] == nil then
    r.people[user] = false
    r.asked[#r.asked + 1] = user
  end
end

function house.want_masked(r, user)
  house.want(r, decided.masked(user))
end

function house.load(r)
  if not r.asked then
    return
  end
  local found = call_in_chunks('HMGET', r.people_key, r.asked)
  for i, user in ipairs(r.asked) do
    r.people[user] = found[i] and decided.person(found[i])
  end
end
