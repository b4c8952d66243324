#!lua
-- claw_back: take of a host what a gift that is reversed had earned it, once for ever, and say so in the room while it
-- is live; or let debt be settled by what the host has.
-- KEYS [1]  seven keys as host_redo takes them
--      [2]  of these, the diamonds of the host's partition
--      [6]  of these, what was clawed back of the host
--      [8]  the room, five keys as room.open takes them; of a settlement none of it
--      [9]  of these, its log
--      [13] the deadlines of the host's partition, which name its channel
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [host, key of the reversal, the gift's key, user, by, milli-diamonds, the day it was
--           earned on, days that are looked at, whether the platform bears it, room ('': settle debt), event bytes
--           of gift_reversed, log keep]
-- returns   msgpack [milli-diamonds, debt, borne by the platform]
-- Of the host's balance first, and what is not there is debt. Of what was earned by day: of the gift's own day, as far
-- as that is still there, then of the newest down; so what is pending goes first, and a replay needs no tiers.
-- If this breaks off, what is left of it is done by whoever changes something of the host next (host_redo.lua). The
-- room is told by who asks for the same gift again; where another one comes first, nothing is said there.
-- @include clock
-- @include host_redo
-- @include room
local now = clock(ARGV[1])
local host, key, gift, user, by, amount, day, days, borne, room_id, event, log_keep =
  unpack(cmsgpack.unpack(ARGV[2]))
local CLAWBACK = '\155\168clawback' -- an array of 11 and its first field
local DAY = 86400000
local BALANCE, DEBT = host, host .. '/debt'
local LOG = 9
local settles = room_id == ''
local h = host_redo.open(host)
local p = { rooms = {}, streaks = KEYS[13] }
local r = not settles and room.open(p, 8, room_id)

local function on(number)
  return host .. '/' .. digits(number)
end

-- The newest last.
local function days_kept()
  local today = math.floor(now / DAY)
  local names, found = {}, {}
  for number = today - days + 1, today do
    names[#names + 1] = on(number)
  end
  for i, value in ipairs(redis.call('HMGET', KEYS[2], unpack(names))) do
    found[i] = { name = names[i], left = tonumber(value or 0) }
  end
  return found
end

-- What is taken of each day; returns the gift's own, or 0 if nothing is there of that any more.
local function take_days(changes, diamonds)
  local found, of_day = days_kept(), 0
  local function take(one)
    local part = math.min(one.left, diamonds)
    if part > 0 then
      one.left, diamonds = one.left - part, diamonds - part
      changes[one.name] = (changes[one.name] or 0) - part
    end
    return part
  end
  for _, one in ipairs(found) do
    if one.name == on(day) and take(one) > 0 then
      of_day = day
    end
  end
  for i = #found, 1, -1 do
    take(found[i])
  end
  return of_day
end

local function enter(changes, debt, bears, of_day)
  local diamonds = -changes[BALANCE]
  changes[DEBT] = debt
  h.e[1], h.e.n = CLAWBACK .. cmsgpack.pack(now, key, host, gift, user, diamonds, debt, bears, by, of_day), 1
  local record = cmsgpack.pack(diamonds, debt, bears)
  local goal = not settles and { at = 6, fields = { key, record } } or nil
  return { key = key, changes = changes, goal = goal, seq = r and r.seq or 0, record = record }
end

local function planned()
  if borne then
    return enter({ [BALANCE] = 0 }, 0, amount, 0)
  end
  local has = tonumber(redis.call('HGET', KEYS[2], BALANCE) or 0)
  local changes = { [BALANCE] = -math.min(has, amount) }
  local of_day = take_days(changes, -changes[BALANCE])
  return enter(changes, amount + changes[BALANCE], 0, of_day)
end

local function settlement()
  local has, owes = unpack(redis.call('HMGET', KEYS[2], BALANCE, DEBT))
  local settled = math.min(tonumber(has or 0), tonumber(owes or 0))
  return settled > 0 and enter({ [BALANCE] = -settled }, -settled, 0, 0)
end

local function is_told(plan)
  local batch = redis.call('XRANGE', KEYS[LOG], digits(plan.seq + 1) .. '-0', '+', 'COUNT', 1)[1]
  return batch and string.find(batch[2][2], event, 1, true)
end

local function tell_room(plan)
  if plan.key == key and r and r.host == host and r.state == 'live' and not is_told(plan) then
    room.append(r, room.stamp(now), event)
    room.flush(p, log_keep)
  end
end

local function write(plan)
  host_redo.write(h, plan, tell_room)
  return plan.record
end

host_redo.complete(h, tell_room)
if settles then
  local plan = settlement()
  return plan and write(plan) or cmsgpack.pack(0, 0, 0)
end
return redis.call('HGET', KEYS[6], key) or write(planned())
