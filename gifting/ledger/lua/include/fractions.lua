-- fractions: where coins are not whole diamonds. Seldom needed: the usual rate divides nothing, and nothing is taken
-- off.
--   fractions.rate(rates, commission)   what is left of the rate of a call (earnings.rates) after so many basis points
--   fractions.load(e)                   e: earnings whose rates are known; each purse whose rate divides has `carry`
--                                       then, what its division left before: of the hash of carry, host/denominator
--   fractions.flush(e)
-- @include chunks
-- @include digits
local fractions = {}
local WHOLE = 10000

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

function fractions.rate(rates, commission)
  local by = rates.by or {}
  rates.by, by[commission] = by, by[commission] or reduced(rates, commission)
  return by[commission]
end

local function field(host, purse)
  return host .. '/' .. digits(purse.rate.denominator)
end

function fractions.load(e)
  local purses, fields = {}, {}
  for _, host in ipairs(e.hosts) do
    local purse = e.purses[host]
    if purse.rate.denominator > 1 then
      purses[#purses + 1], fields[#fields + 1] = purse, field(host, purse)
    end
  end
  local found = call_in_chunks('HMGET', e.carry_key, fields)
  for i, purse in ipairs(purses) do
    purse.carry = tonumber(found[i] or 0)
  end
end

function fractions.flush(e)
  local args, n = {}, 0
  for _, host in ipairs(e.hosts) do
    local purse = e.purses[host]
    if purse.changed and purse.carry then
      args[n + 1], args[n + 2] = field(host, purse), purse.carry
      n = n + 2
    end
  end
  call_in_chunks('HSET', e.carry_key, args)
end
