-- spending: what protects who sends: the rules of an account, and of the terms on which it sends.
--   spending.account(a, user, now)                   the account, of which the hours that are over are counted as such
--   spending.refusal(a, account, gift, now, window)  why it can't be spent, in the order in which a sender is told: a
--                                                    status, and what ends it: when (ms), or how many coins are
--                                                    allowed; or nil
--   spending.unasked(account, gift)                  whether the sender must be asked first: likewise
--   spending.take(a, account, gift, now, window)     returns the share of a limit that is passed with it, in percent
-- Of limits, 0 is none. A run are gifts each within `window` (ms) of the one before, whatever they are and wherever.
-- Velocity is a bucket of `burst` coins into which `rate` a second go back, kept as the time when it is full again.
-- @include status
-- @include accounts
-- @include least
-- @include protection
local spending = {}

function spending.account(a, user, now)
  local account = accounts.get(a, user)
  if now >= account.roll_at then
    protection.roll(a, account, now)
  end
  return account
end

local function frozen(account)
  local bits = account.frozen
  if bit.band(bits, Frozen.BANNED) > 0 then
    return Status.BANNED
  elseif bit.band(bits, Frozen.DEBT + Frozen.WARNING + Frozen.DISPUTE) > 0 then
    return Status.ACCOUNT_FROZEN, account.debt
  end
  return Status.GUARDIAN_LIMIT, 0
end

local function run_of(account, now, window)
  return now - account.run_last <= window and account.run_coins or 0
end

local function over_caps(account, gift, now, window)
  local coins, terms = gift.coins, gift.terms
  local per_gift, per_streak = least(account.gift_cap, terms.gift_cap), least(account.streak_cap, terms.streak_cap)
  if per_gift > 0 and coins > per_gift then
    return Status.GIFT_CAP, per_gift
  elseif per_streak > 0 and run_of(account, now, window) + coins > per_streak then
    return Status.STREAK_CAP, per_streak
  end
  return nil
end

-- When the bucket will be full again.
local function full_at(account, gift, now)
  return math.ceil(math.max(account.velocity, now) + 1000 * gift.coins / gift.terms.rate)
end

local function too_fast(account, gift, now)
  local terms = gift.terms
  if terms.rate == 0 then
    return nil
  end
  local good_at = full_at(account, gift, now) - math.ceil(1000 * terms.burst / terms.rate)
  if good_at > now then
    return Status.SPENDING_TOO_FAST, good_at
  end
  return nil
end

local function over_limits(a, account, gift)
  local coins, terms = gift.coins, gift.terms
  if coins > account.left then
    return protection.limit(a, account, coins)
  elseif account.day + coins > terms.day_cap or account.month + coins > terms.month_cap then
    return protection.platform(a, account, terms.day_cap, terms.month_cap, coins)
  end
  return nil
end

function spending.refusal(a, account, gift, now, window)
  if account.frozen > 0 then
    return frozen(account)
  elseif now < account.blocked_until then
    return Status.ON_BREAK, account.blocked_until
  elseif account.coins < gift.coins then
    return Status.INSUFFICIENT_COINS
  end
  local status, ends = over_caps(account, gift, now, window)
  if not status then
    status, ends = too_fast(account, gift, now)
  end
  if status then
    return status, ends
  end
  return over_limits(a, account, gift)
end

function spending.unasked(account, gift)
  local terms = gift.terms
  local above = least(account.confirm_above, terms.confirm_above)
  if gift.confirmed then
    return nil
  elseif above > 0 and gift.coins > above or terms.confirm_first and account.sent == 0 then
    return Status.CONFIRM_REQUIRED, above
  end
  return nil
end

function spending.take(a, account, gift, now, window)
  local coins = gift.coins
  account.run_coins = run_of(account, now, window) + coins
  account.run_last = math.max(account.run_last, now)
  if gift.terms.rate > 0 then
    account.velocity = full_at(account, gift, now)
  end
  account.since, account.day, account.month = account.since + coins, account.day + coins, account.month + coins
  accounts.spend(a, account, coins)
  if account.left == MAX_AMOUNT then
    return 0
  end
  account.left = account.left - coins
  return account.left <= account.notice_at and protection.notice(a, account, coins) or 0
end
