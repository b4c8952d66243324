-- asked: rooms as they and their hosts said when they were asked, where credit.lua is elsewhere.
--   asked.new(now, numerator, denominator, usual)   as credit.new
--   asked.room(c, values, at)          one, by six values after that offset: state, host, rules and coins of the room,
--                                      false if it has none; the host's diamonds and commission, likewise. Returns the
--                                      offset of what follows, and the room. One that could not be asked has the
--                                      state 'unasked': it takes nothing
--   asked.add_target(c, target, r, to) a gift in such a room; `to`: outbox.lua's partition of it
--   asked.decide(c, gift, person, masked)
--                                      what its host has decided about who gives, as it is kept, or false
--   asked.give(c, gift)                credit.lua will: so nothing is known of it yet
-- `c` and its targets are as admission.lua takes them.
-- @include status
-- @include admission
-- @include outbox
-- @include decided, late
-- @include fractions, late
local asked = {}
local UNASKED = 'unasked'

function asked.new(now, numerator, denominator, usual)
  return { now = now, rates = { numerator = numerator, denominator = denominator, usual = usual }, targets = {} }
end

local function new_room(c, at, state, host, rules, coins, diamonds, commission)
  local rates = c.rates
  commission = tonumber(commission or rates.usual)
  return at, {
    state = state, host = host, rules = rules and decided.rules(rules), people = {}, asked = false,
    coins = tonumber(coins or 0), purse = {
      diamonds = tonumber(diamonds or 0), rate = commission == 0 and rates or fractions.rate(rates, commission),
    },
  }
end

function asked.room(c, values, at)
  return new_room(c, cmsgpack.unpack_limit(values, 6, at))
end

function asked.add_target(c, target, r, to)
  local closed = r.state == UNASKED and Status.LEDGER_UNAVAILABLE or admission.room(r, target.host)
  c.targets[target.number] = { room = r, closed = closed, purse = r.purse, to = to }
end

function asked.decide(c, gift, person, masked)
  local r = c.targets[gift.target.number].room
  if person then
    r.people[gift.user] = decided.person(person)
  end
  if masked then
    r.asked, r.people[decided.masked(gift.user)] = true, decided.person(masked)
  end
end

function asked.give(c, gift)
  outbox.owe(c.targets[gift.target.number].to, gift)
  return 0, 0, 0
end
