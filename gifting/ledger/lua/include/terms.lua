-- terms: what holds for senders, as a call says it once for all who have the same.
--   read_terms(values)   of msgpack values one after another, ten of each: age, region, coins per gift, per streak, per
--                        day, per month, per second, at once, unasked (0: no such limit), ask first 0|1
local function read_one_terms(at, age, region, gift_cap, streak_cap, day_cap, month_cap, rate, burst, confirm_above,
  first)
  return at, {
    age = age, region = region, gift_cap = gift_cap, streak_cap = streak_cap, day_cap = day_cap, month_cap = month_cap,
    rate = rate, burst = burst, confirm_above = confirm_above, confirm_first = first == 1,
  }
end

local function read_terms(values)
  local at, terms = 0, {}
  while at >= 0 and #values > 0 do
    at, terms[#terms + 1] = read_one_terms(cmsgpack.unpack_limit(values, 10, at))
  end
  return terms
end
