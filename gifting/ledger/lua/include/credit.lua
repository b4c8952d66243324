-- credit: the half of gifts that is in their rooms' partitions: streak, ranking, log, what the host earns; what is free
-- too.
--   credit.new(now, window, numerator, denominator, keep, commission)
--                                           the credits of a call: times in ms, diamonds per coin, how many events a
--                                           log keeps, what is taken off for whom nothing else is kept (basis points)
--                                           `houses` false: nothing is asked of hosts, whose keys are not there then
--   credit.add_room(c, at, keys)            a room, in the partition whose four keys begin at KEYS[at]: ledger,
--                                           diamonds, carry, streaks' deadlines; its own as room.open takes them,
--                                           and behind these those of house.open
--   credit.room(c, place, id)               the room that was added as number `place`, or nil
--   credit.add_target(c, place, target)     a gift in such a room, for all who send it there
--   credit.want(c, gift)                    this gift may be given; to be said of all before they are loaded
--   credit.load(c)
--   credit.want_post(c, r, post)            likewise a free event, by the user whom it names; '': nobody
--   credit.give(c, gift)                    never refuses; returns the gift's seq, its streak's count, and its streak.
--                                           Of a room that is not there the host gets what it is worth, and seq is 0
--   credit.post(c, post)                    log a free event; returns why not, or nil. `post`: as decided.no_post
--                                           takes it, and room, host, event, likes
--   credit.flush(c)
-- What a gift is says debit.lua. Whether it may be given is asked before the debit, by admission.lua.
-- @include status
-- @include admission
-- @include amount
-- @include earnings
-- @include house
-- @include room
-- @include streaks
-- @include wire
local credit = { KEYS = 4 }
local CREDIT, OF_ID = '\155\166credit', '\176' -- an array of 11 and its first field; as in debit.lua
local LESS = '\156' -- an array of 12, where there is a commission

function credit.new(now, window, numerator, denominator, keep, commission)
  return {
    now = now, window = window, keep = keep, rates = earnings.rates(numerator, denominator, commission, now),
    partitions = { nil }, places = {}, rooms = { nil }, targets = { nil }, stamp = room.stamp(now),
    entry = CREDIT .. wire[now] .. OF_ID, houses = true,
  }
end

local function partition_at(c, at)
  local p = c.places[at]
  if not p then
    p = { earnings = earnings.open(at, c.rates), streaks = KEYS[at + 3], rooms = { nil } }
    c.places[at], c.partitions[#c.partitions + 1] = p, p
  end
  return p
end

function credit.add_room(c, at, keys)
  c.rooms[#c.rooms + 1] = { p = partition_at(c, at), at = keys }
end

function credit.room(c, place, id)
  local found = c.rooms[place]
  if found.room == nil then
    local r = room.open(found.p, found.at, id)
    if r and c.houses then
      house.open(r, found.at + room.KEYS)
    elseif r then
      r.rules = nil
    end
    found.room = r or false
  end
  return found.room or nil
end

function credit.add_target(c, place, target)
  local r, e = credit.room(c, place, target.room), c.rooms[place].p.earnings
  c.targets[target.number] = {
    room = r, closed = admission.room(r, target.host), earnings = e, purse = earnings.purse(e, target.host),
  }
end

function credit.want(c, gift)
  local r = c.targets[gift.target.number].room
  if r then
    if r.asked and r.people[gift.user] == nil then
      house.want(r, gift.user)
    end
    if r.asked and gift.shown then
      house.want_masked(r, gift.user)
    end
    if gift.streak then
      streaks.want(r, gift.streak)
    end
  end
end

function credit.want_post(_, r, post)
  if r and post.user ~= '' then
    house.want(r, post.user)
  end
end

function credit.load(c)
  for _, p in ipairs(c.partitions) do
    earnings.load(p.earnings)
    for _, r in ipairs(p.rooms) do
      house.load(r)
      streaks.load(r)
    end
  end
end

local function enter_credit(c, e, rate, gift, seq, diamonds)
  local n = e.n
  local entry = rate.commission and LESS .. c.entry:sub(2) or c.entry
  e[n + 1], e[n + 2], e[n + 3], e[n + 4] = entry, gift.key, wire[gift.user], gift.target.credited
  e[n + 5], e[n + 6], e[n + 7], e[n + 8] = wire[seq], wire[gift.coins], wire[diamonds], rate.told
  e.n = n + 8
end

function credit.give(c, gift)
  local target, coins = gift.target, gift.coins
  local to = c.targets[target.number]
  local r = to.room
  local diamonds = earnings.add(to.purse, coins)
  if not r or to.closed == Status.ROOM_NOT_FOUND then
    enter_credit(c, to.earnings.entries, to.purse.rate, gift, 0, diamonds)
    return 0, gift.count, 0
  end
  local streak = gift.streak and streaks.continue(r, gift, c.now, c.window, c.stamp)
  local seq = r.seq + 1
  streak = streak or { first = seq, count = gift.count, coins = coins }
  room.count(r, gift.shown or gift.user, gift.profile, coins, diamonds)
  if gift.shown then
    room.unmask(r, gift.shown, gift.user)
  end
  enter_credit(c, to.earnings.entries, to.purse.rate, gift, seq, diamonds)
  streaks.append(r, c.stamp, streak, not gift.streak, diamonds, target.about, gift.profile, gift.sent)
  return seq, streak.count, streak.first
end

function credit.post(c, post)
  local r = post.room
  local refused, ends = admission.room(r, post.host), 0
  if not refused and (r.rules or r.people[post.user]) then
    refused, ends = decided.no_post(r, post, c.now)
  end
  if refused then
    return refused, ends
  end
  local event = post.event
  if post.likes then
    r.likes = math.min(r.likes + post.likes, MAX_AMOUNT)
    event = event .. cmsgpack.pack('total', r.likes)
  end
  if r.rules then
    decided.commented(r, post, c.now)
  end
  room.append(r, c.stamp, event)
  return nil
end

function credit.flush(c)
  for _, p in ipairs(c.partitions) do
    earnings.flush(p.earnings)
    streaks.flush(p, c.window)
    room.flush(p, c.keep)
    for _, r in ipairs(p.rooms) do
      if r.rules then
        decided.flush(r, c.now)
      end
    end
  end
end
