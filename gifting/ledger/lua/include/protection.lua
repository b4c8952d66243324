-- protection: what one user and the guardian allow to be spent: a cold record, which has what was spent in it too, and
-- is looked at once an hour, and when a limit is passed or a share of it. model/protection.py says what it holds.
--   protection.roll(a, account, now)      what limits leave now, and when to look again
--   protection.put(a, account, record, now)
--                                         a new record, in which the spending is that of the old one; returns its
--                                         version, or nothing if the old one has another than it
--   protection.notice(a, account, coins)  after a gift of so many: the highest share that it passed, in percent
--   protection.limit(a, account, coins)   a limit that leaves less than that: a status, and when it leaves enough (ms;
--                                         0: never); `left` says that there is one
--   protection.platform(a, account, day_cap, month_cap, coins)
--                                         likewise, of caps over 24 hours and 30 days
--   protection.guarded(a, account)        whether the user has a guardian
--   protection.flush(a, written)          write the records of those accounts that have changed
-- @include status
-- @include chunks
-- @include least
-- @include windows
local protection = {}
local SHARES = { { 50, 2 }, { 80, 5 }, { 100, math.huge } } -- percent, and of how many parts one is left then

local function read(a, account)
  if not account.cold then
    local packed = redis.call('HGET', a.cold, account.user)
    account.cold = packed and cmsgpack.unpack(packed) or {}
  end
  return account.cold
end

function protection.guarded(a, account)
  return (read(a, account).guardian or '') ~= ''
end

local function both_limits(cold, window)
  return math.min(windows.limit(cold.limits, window), windows.limit(cold.guard, window))
end

-- The highest share that is passed once `after` are spent since the roll and was not when it were `before`; and when
-- the next one will be, or nothing.
local function shares(cold, at, before, after)
  local passed, following = 0, nil
  for _, window in ipairs(windows.ALL) do
    local limit = both_limits(cold, window)
    local spent = limit < MAX_AMOUNT and windows.spent(cold, window, at)
    for _, share in ipairs(spent and SHARES or {}) do
      local mark = limit - math.floor(limit / share[2]) - spent
      if mark > after then
        following = math.min(following or mark, mark)
      elseif mark > before then
        passed = math.max(passed, share[1])
      end
    end
  end
  return passed, following
end

local function expect_notice(account, following)
  account.notice_at = following and account.left - (following - account.since) or -1
end

local function left_by_limits(cold, now)
  local left = MAX_AMOUNT
  for _, window in ipairs(windows.ALL) do
    local limit = both_limits(cold, window)
    if limit < MAX_AMOUNT then
      left = math.min(left, limit - windows.spent(cold, window, now))
    end
  end
  return math.max(left, 0)
end

local function apply(a, account, cold, now)
  account.day, account.month = windows.spent(cold, windows.H24, now), windows.spent(cold, windows.D30, now)
  account.since = 0
  account.roll_at = windows.next_roll(cold, now)
  account.left = left_by_limits(cold, now)
  local _, following = shares(cold, now, 0, 0)
  expect_notice(account, following)
  a.rolled, account.rolled = true, true
end

local function apply_caps(account, cold)
  local own, guard = cold.caps or { 0, 0, 0 }, cold.guard_caps or { 0, 0, 0 }
  account.blocked_until = cold['until'] or 0
  account.gift_cap, account.streak_cap = least(own[1], guard[1]), least(own[2], guard[2])
  account.confirm_above = least(own[3], guard[3])
end

function protection.roll(a, account, now)
  local cold = read(a, account)
  windows.roll(cold, account, now)
  apply(a, account, cold, now)
end

function protection.put(a, account, record, now)
  local old = read(a, account)
  local version = old.v or 0
  if version ~= (record.v or 0) then
    return nil
  end
  windows.roll(old, account, now)
  local calendar = record.calendar or old.calendar
  for place = 1, 3 do -- who moves to another zone has windows that end later, never sooner
    old.calendar[place] = math.max(old.calendar[place], calendar[place])
  end
  record.hours, record.calendar, record.v = old.hours, old.calendar, version + 1
  account.cold = record
  apply_caps(account, record)
  apply(a, account, record, now)
  return version + 1
end

function protection.notice(a, account, coins)
  local since = account.since
  local passed, following = shares(read(a, account), account.roll_at - 1, since - coins, since)
  expect_notice(account, following)
  return passed
end

function protection.limit(a, account, coins)
  local cold = read(a, account)
  local own = windows.free_at(cold, cold.limits, account, coins)
  if own then
    return Status.SPENDING_LIMIT, own
  end
  return Status.GUARDIAN_LIMIT, windows.free_at(cold, cold.guard, account, coins) or 0
end

function protection.platform(a, account, day_cap, month_cap, coins)
  local limits = { h24 = day_cap, d30 = month_cap }
  return Status.PLATFORM_LIMIT, windows.free_at(read(a, account), limits, account, coins) or 0
end

function protection.flush(a, written)
  local args, n = {}, 0
  for _, account in ipairs(written) do
    if account.rolled then
      args[n + 1], args[n + 2] = account.user, cmsgpack.pack(account.cold)
      account.rolled, n = false, n + 2
    end
  end
  call_in_chunks('HSET', a.cold, args)
end
