-- spending: what protects who sends: the rules of an account, and of the terms on which it sends.
--   spending.account(a, user, now)                   the account, as accounts.brief gives it, of which the hours that
--                                                    are over are counted as such
--   spending.is_free(account, gift, now, window)     whether `refusal` and `unasked` have nothing to say, of those
--                                                    gifts of which that is seen at once: most
--   spending.refusal(a, account, gift, now, window)  why it can't be spent, in the order in which a sender is told: a
--                                                    status, and what ends it: when (ms), or how many coins are
--                                                    allowed, or from which age; or nil
--   spending.unasked(account, gift)                  whether the sender must be asked first: likewise
--   spending.take(a, account, gift, now, window)     returns the share of a limit that is passed with it, in percent
-- A run are gifts each within `window` (ms) of the one before, whatever they are and wherever.
-- Velocity is a bucket of `burst` coins into which `rate` a second go back, kept as the time when it is full again.
-- @include accounts
-- @include protection, late
-- @include refusals, late
-- @include restrictions, late
local spending = {}
local ceil = math.ceil

function spending.account(a, user, now)
  local account = a.users[user] or accounts.brief(a, user)
  if now >= account.roll_at then
    if account.plain then
      restrictions.add(account)
    end
    protection.roll(a, account, now)
  end
  return account
end

-- What it says yes to, include/refusals.lua has no rule against. Here functions would cost more than what they do.
function spending.is_free(account, gift, now, window)
  local coins, terms = gift.coins, gift.terms
  local run = now - account.run_last <= window and account.run_coins or 0
  local from = account.velocity > now and account.velocity or now
  return account.plain and coins <= account.coins and terms.barred == 0 and coins <= terms.gift_cap
    and run + coins <= terms.streak_cap and account.day + coins <= terms.day_cap
    and account.month + coins <= terms.month_cap
    and (terms.rate == 0 or from + 1000 * coins / terms.rate <= now + terms.burst_ms)
    and (gift.confirmed or coins <= terms.confirm_above and not (terms.confirm_first and account.sent == 0))
end

function spending.refusal(a, account, gift, now, window)
  if account.plain then
    restrictions.add(account)
  end
  return refusals.find(a, account, gift, now, window)
end

function spending.unasked(account, gift)
  return refusals.unasked(account, gift)
end

function spending.take(a, account, gift, now, window)
  local coins, rate = gift.coins, gift.terms.rate
  account.run_coins = (now - account.run_last <= window and account.run_coins or 0) + coins
  if now > account.run_last then
    account.run_last = now
  end
  if rate > 0 then
    account.velocity = (account.velocity > now and account.velocity or now) + ceil(1000 * coins / rate)
  end
  account.since, account.day, account.month = account.since + coins, account.day + coins, account.month + coins
  account.coins = account.coins - coins
  account.bonus = account.bonus > coins and account.bonus - coins or 0 -- bonus coins are spent first
  account.sent, a.spent = account.sent + coins, a.spent + coins
  if not account.changed then
    accounts.changed(a, account)
  end
  if account.plain or account.left == MAX_AMOUNT then
    return 0
  end
  account.left = account.left - coins
  return account.left <= account.notice_at and protection.notice(a, account, coins) or 0
end
