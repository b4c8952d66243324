-- funds: what a user gets and loses but for gifts, of an account as accounts.get gives it.
--   funds.issue(a, account, paid, bonus) returns how many of them settle debt, bonus coins first
--   funds.take_back(a, account, paid, bonus)
--                                        bonus coins of bonus, the rest of paid coins; returns how many paid, how
--                                        many bonus coins were there, and how many became debt
--   funds.give_back(a, account, paid, bonus)
--                                        returns how many of them settle debt
--   funds.unspend(a, account, paid, bonus)
--                                        what a gift cost comes back; returns how many of them settle debt
--   funds.freeze(a, account, bits), funds.unfreeze(a, account, bits)
--                                        bits of Frozen; that of debt follows from the debt
--   funds.flush(a)                       write what was issued, taken, given and frozen: totals, entries, then records
-- @include accounts
-- @include frozen
local funds = {}

local function count(a, name, coins)
  a[name] = (a[name] or 0) + coins
end

local function set_debt(a, account, debt)
  count(a, 'debt', debt - account.debt)
  account.debt = debt
  local frozen = account.frozen - account.frozen % 2
  account.frozen = debt > 0 and frozen + Frozen.DEBT or frozen
  accounts.changed(a, account)
end

local function settle(a, account, paid, bonus)
  local settled = math.min(account.debt, paid + bonus)
  account.coins = account.coins + paid + bonus - settled
  account.bonus = account.bonus + math.max(bonus - settled, 0)
  set_debt(a, account, account.debt - settled)
  return settled
end

function funds.issue(a, account, paid, bonus)
  local settled = settle(a, account, paid, bonus)
  account.purchased = account.purchased + paid
  count(a, 'issued', paid + bonus)
  count(a, 'taken', settled)
  return settled
end

function funds.take_back(a, account, paid, bonus)
  local of_bonus = math.min(account.bonus, bonus)
  local of_paid = math.min(account.coins - account.bonus, paid + bonus - of_bonus)
  local debt = paid + bonus - of_bonus - of_paid
  account.coins, account.bonus = account.coins - of_bonus - of_paid, account.bonus - of_bonus
  count(a, 'taken', of_bonus + of_paid)
  set_debt(a, account, account.debt + debt)
  return of_paid, of_bonus, debt
end

function funds.give_back(a, account, paid, bonus)
  local settled = settle(a, account, paid, bonus)
  count(a, 'taken', settled - paid - bonus)
  return settled
end

function funds.unspend(a, account, paid, bonus)
  local settled = settle(a, account, paid, bonus)
  count(a, 'taken', settled)
  count(a, 'spent', -paid - bonus)
  return settled
end

function funds.freeze(a, account, bits)
  account.frozen = bit.bor(account.frozen, bits)
  accounts.changed(a, account)
end

function funds.unfreeze(a, account, bits)
  account.frozen = bit.band(account.frozen, bit.bnot(bits))
  accounts.changed(a, account)
end

function funds.flush(a)
  accounts.add_total(a, 'issued')
  accounts.add_total(a, 'taken')
  accounts.add_total(a, 'debt')
  write_entries(a.entries)
  accounts.flush(a)
end
