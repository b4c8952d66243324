-- refusals: what may be said against a gift, if not all is well: of an account as accounts.get gives it.
--   refusals.find(a, account, gift, now, window)     as spending.refusal
--   refusals.unasked(account, gift)                  as spending.unasked
-- @include status
-- @include frozen
-- @include least
-- @include protection, late
local refusals = {}

local function frozen(account)
  if bit.band(account.frozen, Frozen.BANNED) > 0 then
    return Status.BANNED
  end
  return Status.ACCOUNT_FROZEN, account.debt
end

local function passes(coins, cap, own)
  return coins > cap or own > 0 and coins > own
end

local function over_caps(account, coins, terms, now, window)
  local run = now - account.run_last <= window and account.run_coins or 0
  if passes(coins, terms.gift_cap, account.gift_cap) then
    return Status.GIFT_CAP, least(account.gift_cap, terms.gift_cap)
  elseif passes(run + coins, terms.streak_cap, account.streak_cap) then
    return Status.STREAK_CAP, least(account.streak_cap, terms.streak_cap)
  elseif terms.rate > 0 then
    local full_at = math.max(account.velocity, now) + math.ceil(1000 * coins / terms.rate)
    local good_at = full_at - terms.burst_ms
    if good_at > now then
      return Status.SPENDING_TOO_FAST, good_at
    end
  end
  return nil
end

function refusals.find(a, account, gift, now, window)
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

function refusals.unasked(account, gift)
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
