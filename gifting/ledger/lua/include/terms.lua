-- terms.read(values): what holds for senders, by age, region and the settings, as a call has it: msgpack values one
-- after another. model/terms.py packs them. In the gifts of that call these tables are what debit.lua says.
-- @include amount
-- @include least
local terms = {}

local function limit(cap)
  return cap > 0 and cap or MAX_AMOUNT
end

-- What never fits into the bucket is too much for one gift.
local function read_one(
  at, age, region, gift_cap, streak_cap, day_cap, month_cap, rate, burst, confirm_above, first, guarded, barred, min_age
)
  return at, {
    age = age, region = region, gift_cap = limit(least(gift_cap, rate > 0 and burst or 0)),
    streak_cap = limit(streak_cap), day_cap = limit(day_cap), month_cap = limit(month_cap),
    rate = rate, burst_ms = rate > 0 and math.ceil(1000 * burst / rate), confirm_above = limit(confirm_above),
    confirm_first = first == 1, guarded = guarded == 1, barred = barred, min_age = min_age,
  }
end

function terms.read(values)
  local at, found = 0, { nil }
  while at >= 0 and #values > 0 do
    local place = #found + 1
    at, found[place] = read_one(cmsgpack.unpack_limit(values, 13, at))
  end
  return found
end
