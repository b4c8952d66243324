-- windows: what was spent in the last 24 hours, 7 and 30 days, and in the calendar's day, week and month, as a cold
-- record has it; the Python of it is model/windows.py.
--   windows.roll(cold, account, now)      add what was spent since it was rolled last; what is long ago leaves it
--   windows.spent(cold, window, at)       of windows.ALL; `at`: any time of the hour in which it was rolled
--   windows.limit(limits, window)         of a map of limits, or nil
--   windows.next_roll(cold, now)          when it must be rolled again
--   windows.free_at(cold, limits, account, coins)
--                                         when all windows will have room for so many coins within limits; 0: never;
--                                         nil: they have it
-- An hour counts in a rolling window until all of it is out of it, so nothing is spent twice. What is spent after a
-- record was rolled is `account.since`, and belongs to the hour before `account.roll_at`.
-- @include amount
-- @include calendar
local HOUR, UTC = 3600000, { { 0, 0 } }
local KEPT = 31 * DAY
local H24, D30 = { name = 'h24', width = DAY }, { name = 'd30', width = 30 * DAY }
local windows = {
  H24 = H24, D30 = D30,
  ALL = {
    H24, { name = 'd7', width = 7 * DAY }, D30,
    { name = 'day', place = 1 }, { name = 'week', place = 2 }, { name = 'month', place = 3 },
  },
}

local function add_hour(hours, hour, coins)
  local at = #hours
  while at > 0 and hours[at][1] > hour do
    at = at - 1
  end
  if at > 0 and hours[at][1] == hour then
    hours[at][2] = hours[at][2] + coins
  else
    table.insert(hours, at + 1, { hour, coins })
  end
end

local function roll_hours(cold, account, now)
  local hours, kept = cold.hours or {}, {}
  if account.since > 0 then
    add_hour(hours, math.floor((account.roll_at - 1) / HOUR), account.since)
  end
  for _, hour in ipairs(hours) do
    if (hour[1] + 1) * HOUR > now - KEPT then
      kept[#kept + 1] = hour
    end
  end
  cold.hours = kept
end

local function roll_calendar(cold, account, now)
  local calendar = cold.calendar or { 0, 0, 0, 0, 0, 0 }
  for place = 1, 3 do
    calendar[place + 3] = calendar[place + 3] + account.since
    if calendar[place] <= now then
      calendar[place], calendar[place + 3] = window_end(place, now, cold.offsets or UTC), 0
    end
  end
  cold.calendar = calendar
end

function windows.roll(cold, account, now)
  roll_hours(cold, account, now)
  roll_calendar(cold, account, now)
end

function windows.spent(cold, window, at)
  if window.place then
    return cold.calendar[window.place + 3]
  end
  local spent = 0
  for _, hour in ipairs(cold.hours) do
    if (hour[1] + 1) * HOUR > at - window.width then
      spent = spent + hour[2]
    end
  end
  return spent
end

function windows.limit(limits, window)
  return limits and limits[window.name] or MAX_AMOUNT
end

function windows.next_roll(cold, now)
  return math.min((math.floor(now / HOUR) + 1) * HOUR, unpack(cold.calendar, 1, 3))
end

local function one_free_at(cold, window, limit, account, coins)
  local at = account.roll_at - 1
  local over = windows.spent(cold, window, at) + account.since + coins - limit
  if over <= 0 then
    return nil
  elseif coins > limit then
    return 0
  elseif window.place then
    return cold.calendar[window.place]
  end
  for _, hour in ipairs(cold.hours) do
    local gone = (hour[1] + 1) * HOUR + window.width
    over = gone > at and over - hour[2] or over
    if over <= 0 then
      return gone
    end
  end
  return (math.floor(at / HOUR) + 1) * HOUR + window.width
end

function windows.free_at(cold, limits, account, coins)
  local ends
  for _, window in ipairs(windows.ALL) do
    local frees = one_free_at(cold, window, windows.limit(limits, window), account, coins)
    if frees == 0 then
      return 0
    end
    ends = frees and math.max(ends or 0, frees) or ends
  end
  return ends
end
