-- window_end(place, now, offsets): when the local day, week (from Monday) or month that `now` is in ends, in ms since
-- 1970; place: 1, 2, 3. Offsets are pairs, ascending: from that time on (ms), local time is so much (ms) ahead of UTC.
-- The Python of it is model/calendar.py.
local DAY = 86400000

-- From 0. Years are counted from March, so that a leap day is the last of one.
local function day_of_month(day)
  local of_era = (day + 719468) % 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  return of_year - math.floor((153 * month + 2) / 5)
end

local next_first = {
  function(day)
    return day + 1
  end,
  function(day) -- the first day of 1970 was a Thursday
    return day + 7 - (day + 3) % 7
  end,
  function(day)
    local after = day - day_of_month(day) + 31
    return after - day_of_month(after)
  end,
}

local function ahead_at(time, offsets)
  local ahead = offsets[1][2]
  for _, offset in ipairs(offsets) do
    if offset[1] <= time then
      ahead = offset[2]
    end
  end
  return ahead
end

-- The first moment after `now` at which local time is `midnight` or later: a change may skip or repeat it.
local function first_at(midnight, now, offsets)
  for i, offset in ipairs(offsets) do
    local after = offsets[i + 1] and offsets[i + 1][1] or math.huge
    local reached = midnight - offset[2]
    reached = i > 1 and math.max(reached, offset[1]) or reached
    if after > now and reached < after then
      return reached
    end
  end
end

local function window_end(place, now, offsets)
  local day = math.floor((now + ahead_at(now, offsets)) / DAY)
  return first_at(next_first[place](day) * DAY, now, offsets)
end
