-- earnings: a partition's hosts while a script changes what they have earned, in milli-diamonds.
--   earnings.open(at, numerator, denominator)   its keys begin at KEYS[at]: ledger, diamonds, carry; the rate per coin
--   earnings.purse(e, host)                     what a host has; one per host, to be asked for before they are loaded
--   earnings.load(e)
--   earnings.share(purse, coins)                what coins would earn, and what remains of the division then
--   earnings.add(purse, coins)                  what they have earned
--   earnings.flush(e)
-- @include chunks
-- @include digits
-- @include entries
local earnings = {}

function earnings.open(at, numerator, denominator)
  return {
    entries = { key = KEYS[at], n = 0 }, diamonds_key = KEYS[at + 1], carry_key = KEYS[at + 2],
    numerator = numerator, denominator = denominator, purses = {}, hosts = {}, carries = {}, n = 0,
  }
end

function earnings.purse(e, host)
  local purse = e.purses[host]
  if not purse then
    purse = { numerator = e.numerator, denominator = e.denominator }
    e.purses[host] = purse
    e.n = e.n + 1
    e.hosts[e.n] = host
    -- A remainder is in units of its rate's denominator, so each denominator has its own.
    e.carries[e.n] = host .. '/' .. digits(e.denominator)
  end
  return purse
end

function earnings.load(e)
  local diamonds, carries = {}, {}
  call_in_chunks('HMGET', e.diamonds_key, e.hosts, diamonds)
  call_in_chunks('HMGET', e.carry_key, e.carries, carries)
  for i, host in ipairs(e.hosts) do
    local purse = e.purses[host]
    purse.diamonds, purse.carry = tonumber(diamonds[i] or 0), tonumber(carries[i] or 0)
  end
end

function earnings.share(purse, coins)
  local raw = coins * purse.numerator + purse.carry
  local carry = raw % purse.denominator
  return (raw - carry) / purse.denominator, carry
end

function earnings.add(purse, coins)
  local diamonds, carry = earnings.share(purse, coins)
  purse.diamonds, purse.carry, purse.changed = purse.diamonds + diamonds, carry, true
  return diamonds
end

function earnings.flush(e)
  local diamonds, carries, n = {}, {}, 0
  for i, host in ipairs(e.hosts) do
    local purse = e.purses[host]
    if purse.changed then
      diamonds[n + 1], diamonds[n + 2] = host, purse.diamonds
      carries[n + 1], carries[n + 2] = e.carries[i], purse.carry
      n = n + 2
    end
  end
  call_in_chunks('HSET', e.diamonds_key, diamonds)
  call_in_chunks('HSET', e.carry_key, carries)
  write_entries(e.entries)
end
