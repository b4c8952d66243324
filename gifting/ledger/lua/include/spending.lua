-- spending: what protects who sends: the rules of an account, and of the terms on which it sends.
--   spending.account(a, user, now)                   the account, of which the hours that are over are counted as such
--   spending.refusal(a, account, gift, now, window)  why it can't be spent, in the order in which a sender is told: a
--                                                    status, and what ends it: when (ms), or how many coins are
--                                                    allowed, or from which age; or nil
--   spending.unasked(account, gift)                  whether the sender must be asked first: likewise
--   spending.take(a, account, gift, now, window)     returns the share of a limit that is passed with it, in percent
-- A run are gifts each within `window` (ms) of the one before, whatever they are and wherever.
-- Velocity is a bucket of `burst` coins into which `rate` a second go back, kept as the time when it is full again.
-- @include status
-- @include accounts
-- @include frozen
-- @include least
-- @include protection
local spending = {}
local ceil = math.ceil

function spending.account(a, user, now)
  local account = a.users[user] or accounts.get(a, user)
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

-- When the bucket will be full again.
local function full_at(account, coins, terms, now)
  local from = account.velocity > now and account.velocity or now
  return from + ceil(1000 * coins / terms.rate)
end

local function passes(coins, cap, own)
  return coins > cap or own > 0 and coins > own
end

local function over_caps(account, coins, terms, now, window)
  if passes(coins, terms.gift_cap, account.gift_cap) then
    return Status.GIFT_CAP, least(account.gift_cap, terms.gift_cap)
  elseif passes(run_of(account, now, window) + coins, terms.streak_cap, account.streak_cap) then
    return Status.STREAK_CAP, least(account.streak_cap, terms.streak_cap)
  elseif terms.rate > 0 then
    local good_at = full_at(account, coins, terms, now) - terms.burst_ms
    if good_at > now then
      return Status.SPENDING_TOO_FAST, good_at
    end
  end
  return nil
end

function spending.refusal(a, account, gift, now, window)
  local coins, terms = gift.coins, gift.terms
  if account.frozen > 0 then
    return frozen(account)
  elseif now < account.blocked_until then
    return Status.ON_BREAK, account.blocked_until
  elseif terms.barred > 0 and not (terms.guarded and protection.guarded(a, account)) then
    return terms.barred, terms.min_age
  elseif account.coins < coins then
    return Status.INSUFFICIENT_COINS
  end
  local status, ends = over_caps(account, coins, terms, now, window)
  if status then
    return status, ends
  elseif coins > account.left then
    return protection.limit(a, account, coins)
  elseif account.day + coins > terms.day_cap or account.month + coins > terms.month_cap then
    return protection.platform(a, account, terms.day_cap, terms.month_cap, coins)
  end
  return nil
end

function spending.unasked(account, gift)
  local terms = gift.terms
  if gift.confirmed then
    return nil
  elseif passes(gift.coins, terms.confirm_above, account.confirm_above) then
    return Status.CONFIRM_REQUIRED, least(account.confirm_above, terms.confirm_above)
  elseif terms.confirm_first and account.sent == 0 then
    return Status.CONFIRM_REQUIRED, 0
  end
  return nil
end

function spending.take(a, account, gift, now, window)
  local coins, terms = gift.coins, gift.terms
  account.run_coins = run_of(account, now, window) + coins
  if now > account.run_last then
    account.run_last = now
  end
  if terms.rate > 0 then
    account.velocity = full_at(account, coins, terms, now)
  end
  account.since, account.day, account.month = account.since + coins, account.day + coins, account.month + coins
  accounts.spend(a, account, coins)
  if account.left == MAX_AMOUNT then
    return 0
  end
  account.left = account.left - coins
  return account.left <= account.notice_at and protection.notice(a, account, coins) or 0
end
