-- available(key, host, has, today, hold, reserve, bps): of the milli-diamonds that a host has, those that may be paid
-- out today, as model/earnings.py has it: what was earned in the last `hold` days is pending, a share of what was in
-- the last `reserve` days is kept back, and what is owed is wanted first. `key`: the partition's diamonds.
-- Days to come are looked at, as ledger/creators.py does: the clock may have gone back.
-- @include chunks
-- @include digits
local BASIS, AHEAD = 10000, 400

local function earned(key, host, first, last)
  local fields, sum = {}, 0
  for day = math.max(first, 0), last do
    fields[#fields + 1] = host .. '/' .. digits(day)
  end
  for _, value in ipairs(call_in_chunks('HMGET', key, fields) or {}) do
    sum = sum + math.max(tonumber(value or 0), 0)
  end
  return sum
end

-- Rounded up. Whole parts and the rest apart: the product of all would be more than a double counts exactly.
local function share_of(diamonds, bps)
  local rest = diamonds % BASIS
  return (diamonds - rest) / BASIS * bps + math.ceil(rest * bps / BASIS)
end

local function available(key, host, has, today, hold, reserve, bps)
  local pending = math.min(earned(key, host, today - hold + 1, today + AHEAD), has)
  local share = share_of(earned(key, host, today - reserve + 1, today - hold), bps)
  local debt = tonumber(redis.call('HGET', key, host .. '/debt') or 0)
  return math.max(has - pending - share - debt, 0)
end
