-- earnings: a partition's hosts while a script changes what they have earned, in milli-diamonds.
--   earnings.open(at, numerator, denominator)   its keys begin at KEYS[at]: ledger, diamonds, carry; the rate per coin
--   earnings.purse(e, host)                     what a host has; one per host, to be asked for before they are loaded
--   earnings.load(e)
--   earnings.share(e, purse, coins)             what coins would earn, and what remains of the division then
--   earnings.add(e, purse, coins)               what they have earned
--   earnings.flush(e)
-- A remainder is in units of its rate's denominator, so each denominator has its own. By 1 nothing remains.
-- @include chunks
-- @include digits
-- @include entries
local earnings = {}

function earnings.open(at, numerator, denominator)
  return {
    entries = new_entries(KEYS[at]), diamonds_key = KEYS[at + 1], carry_key = KEYS[at + 2],
    numerator = numerator, denominator = denominator, purses = {}, hosts = {}, n = 0,
  }
end

function earnings.purse(e, host)
  local purse = e.purses[host]
  if not purse then
    local n = e.n + 1
    purse = { diamonds = 0, carry = 0, changed = false }
    e.n, e.purses[host], e.hosts[n] = n, purse, host
  end
  return purse
end

local function divides(e)
  return e.denominator > 1
end

local function carry_field(e, host)
  return host .. '/' .. digits(e.denominator)
end

local function load_carries(e)
  local fields = {}
  for i, host in ipairs(e.hosts) do
    fields[i] = carry_field(e, host)
  end
  local carries = call_in_chunks('HMGET', e.carry_key, fields)
  for i, host in ipairs(e.hosts) do
    e.purses[host].carry = tonumber(carries[i] or 0)
  end
end

function earnings.load(e)
  local diamonds = call_in_chunks('HMGET', e.diamonds_key, e.hosts)
  for i, host in ipairs(e.hosts) do
    e.purses[host].diamonds = tonumber(diamonds[i] or 0)
  end
  if divides(e) then
    load_carries(e)
  end
end

function earnings.share(e, purse, coins)
  local raw = coins * e.numerator + purse.carry
  local carry = raw % e.denominator
  return (raw - carry) / e.denominator, carry
end

function earnings.add(e, purse, coins)
  local diamonds, carry = earnings.share(e, purse, coins)
  purse.diamonds, purse.carry, purse.changed = purse.diamonds + diamonds, carry, true
  return diamonds
end

function earnings.flush(e)
  local diamonds, carries, n = {}, {}, 0
  for _, host in ipairs(e.hosts) do
    local purse = e.purses[host]
    if purse.changed then
      diamonds[n + 1], diamonds[n + 2] = host, purse.diamonds
      if divides(e) then
        carries[n + 1], carries[n + 2] = carry_field(e, host), purse.carry
      end
      n = n + 2
    end
  end
  call_in_chunks('HSET', e.diamonds_key, diamonds)
  call_in_chunks('HSET', e.carry_key, carries)
  write_entries(e.entries)
end
