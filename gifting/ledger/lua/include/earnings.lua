-- earnings: a partition's hosts while a script changes what they have earned, in milli-diamonds.
--   earnings.rates(numerator, denominator, usual, now)
--                                               of a call: diamonds per coin, what is taken off for whom nothing else
--                                               is kept (basis points), and the time (ms) whose UTC day is that of
--                                               earning
--   earnings.open(at, rates)                    its keys begin at KEYS[at]: ledger, diamonds, carry
--   earnings.purse(e, host)                     what a host has; one per host, to be asked for before they are loaded.
--                                               Its `rate`, once loaded, has numerator, denominator, `told`, and
--                                               commission, if there is one
--   earnings.load(e)
--   earnings.add(purse, coins)                  what they have earned
--   earnings.flush(e)
-- Fields of the hash of diamonds: host, what it has; host/D, what was earned on day D since 1970; host/bps, its
-- commission. A remainder is in units of its rate's denominator, so each denominator has its own. By 1 nothing remains.
-- @include chunks
-- @include digits
-- @include entries
-- @include fractions, late
-- @include share
local earnings = {}
local DAY = 86400000

-- (What there is of the day is cut off by the format.)
function earnings.rates(numerator, denominator, usual, now)
  return {
    numerator = numerator, denominator = denominator, told = cmsgpack.pack(numerator, denominator), usual = usual,
    day = string.format('/%d', now / DAY),
  }
end

function earnings.open(at, rates)
  return {
    entries = new_entries(KEYS[at]), diamonds_key = KEYS[at + 1], carry_key = KEYS[at + 2],
    rates = rates, purses = {}, hosts = { nil }, n = 0, fields = { nil, nil, nil },
  }
end

function earnings.purse(e, host)
  local purse = e.purses[host]
  if not purse then
    local n = e.n + 1
    purse = { diamonds = 0, today = 0, rate = false, changed = false }
    e.n, e.purses[host], e.hosts[n] = n, purse, host
  end
  return purse
end

function earnings.load(e)
  local rates, fields, n = e.rates, e.fields, 0
  for i = 1, e.n do
    local host = e.hosts[i]
    fields[n + 1], fields[n + 2], fields[n + 3] = host, host .. rates.day, host .. '/bps'
    n = n + 3
  end
  local found = call_in_chunks('HMGET', e.diamonds_key, fields)
  local divides = false
  for i = 1, e.n do
    local purse, commission = e.purses[e.hosts[i]], tonumber(found[3 * i] or rates.usual)
    purse.diamonds, purse.today = tonumber(found[3 * i - 2] or 0), tonumber(found[3 * i - 1] or 0)
    purse.rate = commission == 0 and rates or fractions.rate(rates, commission)
    divides = divides or purse.rate.denominator > 1
  end
  if divides then
    fractions.load(e)
  end
end

function earnings.add(purse, coins)
  local diamonds, carry = share(purse, coins)
  purse.diamonds, purse.today, purse.changed = purse.diamonds + diamonds, purse.today + diamonds, true
  if purse.carry then
    purse.carry = carry
  end
  return diamonds
end

function earnings.flush(e)
  local args, n, divides = { nil, nil, nil, nil }, 0, false
  for i = 1, e.n do
    local host = e.hosts[i]
    local purse = e.purses[host]
    if purse.changed then
      args[n + 1], args[n + 2], args[n + 3], args[n + 4] = host, purse.diamonds, e.fields[3 * i - 1], purse.today
      divides = divides or purse.carry
      n = n + 4
    end
  end
  call_in_chunks('HSET', e.diamonds_key, args)
  if divides then
    fractions.flush(e)
  end
  write_entries(e.entries)
end
