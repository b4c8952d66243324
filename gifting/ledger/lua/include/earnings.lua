-- earnings: a partition's hosts while a script changes what they have earned, in milli-diamonds.
--   earnings.rates(numerator, denominator, commission, now)
--                                               of a call: diamonds per coin, what is taken off for whom nothing else
--                                               is kept (basis points), and the time (ms) whose UTC day is that of
--                                               earning
--   earnings.open(at, rates)                    its keys begin at KEYS[at]: ledger, diamonds, carry
--   earnings.purse(e, host)                     what a host has; one per host, to be asked for before they are loaded.
--                                               Its `rate`, once loaded, has numerator, denominator, commission, `told`
--   earnings.load(e)
--   earnings.share(purse, coins)                what coins would earn, and what remains of the division then
--   earnings.inexact(purse, coins)              whether that is more than a double counts exactly
--   earnings.add(purse, coins)                  what they have earned
--   earnings.flush(e)
-- Fields of the hash of diamonds: host, what it has; host/D, what was earned on day D since 1970; host/bps, its
-- commission. A remainder is in units of its rate's denominator, so each denominator has its own. By 1 nothing remains.
-- @include amount
-- @include chunks
-- @include digits
-- @include entries
local earnings = {}
local WHOLE, DAY = 10000, 86400000

local function divisor(a, b)
  while b > 0 do
    a, b = b, a % b
  end
  return a
end

-- Each factor is reduced before it is multiplied, so the products are as small as they can be.
local function reduced(rates, commission)
  local left = WHOLE - commission
  local common = divisor(left, WHOLE)
  local part, whole = left / common, WHOLE / common
  local over, under = divisor(rates.numerator, whole), divisor(part, rates.denominator)
  local numerator, denominator = rates.numerator / over * (part / under), rates.denominator / under * (whole / over)
  return {
    numerator = numerator, denominator = denominator, commission = commission,
    told = cmsgpack.pack(numerator, denominator, commission),
  }
end

local function rate_of(rates, commission)
  if commission == 0 then
    return rates
  end
  local by = rates.by or {}
  rates.by, by[commission] = by, by[commission] or reduced(rates, commission)
  return by[commission]
end

function earnings.rates(numerator, denominator, commission, now)
  return {
    numerator = numerator, denominator = denominator, commission = 0, told = cmsgpack.pack(numerator, denominator),
    usual = commission, by = nil, day = '/' .. digits(math.floor(now / DAY)),
  }
end

function earnings.open(at, rates)
  return {
    entries = new_entries(KEYS[at]), diamonds_key = KEYS[at + 1], carry_key = KEYS[at + 2],
    rates = rates, purses = {}, hosts = {}, n = 0,
  }
end

function earnings.purse(e, host)
  local purse = e.purses[host]
  if not purse then
    local n = e.n + 1
    purse = { diamonds = 0, today = 0, carry = 0, rate = false, changed = false }
    e.n, e.purses[host], e.hosts[n] = n, purse, host
  end
  return purse
end

-- Those whose rate divides, and where their remainders are.
local function carrying(e)
  local purses, fields = {}, {}
  for _, host in ipairs(e.hosts) do
    local purse = e.purses[host]
    if purse.rate.denominator > 1 then
      purses[#purses + 1], fields[#fields + 1] = purse, host .. '/' .. digits(purse.rate.denominator)
    end
  end
  return purses, fields
end

local function load_carries(e)
  local purses, fields = carrying(e)
  local carries = call_in_chunks('HMGET', e.carry_key, fields)
  for i, purse in ipairs(purses) do
    purse.carry = tonumber(carries[i] or 0)
  end
end

function earnings.load(e)
  local rates, fields, n = e.rates, {}, 0
  for _, host in ipairs(e.hosts) do
    fields[n + 1], fields[n + 2], fields[n + 3] = host, host .. rates.day, host .. '/bps'
    n = n + 3
  end
  local found = call_in_chunks('HMGET', e.diamonds_key, fields)
  local divides = false
  for i, host in ipairs(e.hosts) do
    local purse = e.purses[host]
    purse.diamonds, purse.today = tonumber(found[3 * i - 2] or 0), tonumber(found[3 * i - 1] or 0)
    purse.rate = rate_of(rates, tonumber(found[3 * i] or rates.usual))
    divides = divides or purse.rate.denominator > 1
  end
  if divides then
    load_carries(e)
  end
end

function earnings.share(purse, coins)
  local rate = purse.rate
  local raw = coins * rate.numerator + purse.carry
  local carry = raw % rate.denominator
  return (raw - carry) / rate.denominator, carry
end

function earnings.inexact(purse, coins)
  local rate = purse.rate
  return rate.commission > 0 and coins * rate.numerator + rate.denominator > MAX_AMOUNT
end

function earnings.add(purse, coins)
  local diamonds, carry = earnings.share(purse, coins)
  purse.diamonds, purse.today = purse.diamonds + diamonds, purse.today + diamonds
  purse.carry, purse.changed = carry, true
  return diamonds
end

local function flush_carries(e)
  local purses, fields = carrying(e)
  local args, n = {}, 0
  for i, purse in ipairs(purses) do
    if purse.changed then
      args[n + 1], args[n + 2] = fields[i], purse.carry
      n = n + 2
    end
  end
  call_in_chunks('HSET', e.carry_key, args)
end

function earnings.flush(e)
  local args, n, divides = {}, 0, false
  for _, host in ipairs(e.hosts) do
    local purse = e.purses[host]
    if purse.changed then
      args[n + 1], args[n + 2], args[n + 3], args[n + 4] = host, purse.diamonds, host .. e.rates.day, purse.today
      divides = divides or purse.rate.denominator > 1
      n = n + 4
    end
  end
  call_in_chunks('HSET', e.diamonds_key, args)
  if divides then
    flush_carries(e)
  end
  write_entries(e.entries)
end
