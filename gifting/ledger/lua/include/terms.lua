-- terms.read(values): what holds for senders, by age, region and the settings, as a call has it: msgpack values one
-- after another. model/terms.py packs them. In the gifts of that call these tables are what debit.lua says.
-- @include amount
-- @include least
local terms = {}

-- What never fits into the bucket is too much for one gift.
local function read_one(at, age, region, gift_cap, streak_cap, day_cap, month_cap, rate, burst, confirm_above, first)
  return at, {
    age = age, region = region, gift_cap = least(gift_cap, rate > 0 and burst or 0), streak_cap = streak_cap,
    day_cap = day_cap > 0 and day_cap or MAX_AMOUNT, month_cap = month_cap > 0 and month_cap or MAX_AMOUNT,
    rate = rate, burst = burst, confirm_above = confirm_above, confirm_first = first == 1,
  }
end

function terms.read(values)
  local at, found = 0, {}
  while at >= 0 and #values > 0 do
    local place = #found + 1
    at, found[place] = read_one(cmsgpack.unpack_limit(values, 10, at))
  end
  return found
end
