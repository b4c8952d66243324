-- restrictions: what accounts have beside the fields of all, if something restricts them: debt, frozen, blocked_until,
-- left, notice_at, gift_cap, streak_cap, confirm_above. Few have.
--   restrictions.new(user, coins)       an account that has been granted these, and nothing else
--   restrictions.add(account)           those of one which nothing restricts
--   restrictions.found(account)         whether something does
--   restrictions.read(user, record), restrictions.pack(account)
--                                       the record of one with them: as the version before the brief one wrote all
-- @include amount
local restrictions = {}
local RECORD = '<' .. string.rep('d', 19)

function restrictions.new(user, coins)
  return {
    user = user, coins = coins, bonus = coins, roll_at = 0, since = 0, day = 0, month = 0, run_coins = 0, run_last = 0,
    velocity = 0, sent = 0, purchased = 0, plain = true, changed = false,
  }
end

function restrictions.add(account)
  account.plain = false
  account.debt, account.frozen, account.blocked_until, account.left, account.notice_at = 0, 0, 0, MAX_AMOUNT, 0
  account.gift_cap, account.streak_cap, account.confirm_above = 0, 0, 0
end

function restrictions.found(account)
  return account.debt ~= 0 or account.frozen ~= 0 or account.blocked_until ~= 0 or account.left ~= MAX_AMOUNT
    or account.gift_cap ~= 0 or account.streak_cap ~= 0 or account.confirm_above ~= 0
end

function restrictions.read(user, record)
  local coins, bonus, debt, frozen, blocked_until, roll_at, since, day, month, left, notice_at, gift_cap, streak_cap,
    confirm_above, run_coins, run_last, velocity, sent, purchased = struct.unpack(RECORD, record)
  return {
    user = user, coins = coins, bonus = bonus, debt = debt, frozen = frozen, blocked_until = blocked_until,
    roll_at = roll_at, since = since, day = day, month = month, left = left, notice_at = notice_at,
    gift_cap = gift_cap, streak_cap = streak_cap, confirm_above = confirm_above, run_coins = run_coins,
    run_last = run_last, velocity = velocity, sent = sent, purchased = purchased, plain = false, changed = false,
  }
end

function restrictions.pack(account)
  return struct.pack(RECORD, account.coins, account.bonus, account.debt, account.frozen, account.blocked_until,
    account.roll_at, account.since, account.day, account.month, account.left, account.notice_at, account.gift_cap,
    account.streak_cap, account.confirm_above, account.run_coins, account.run_last, account.velocity, account.sent,
    account.purchased)
end
