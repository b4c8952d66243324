-- accounts: a partition's users while a script changes what they have in coins, and what is known of them beside it.
--   accounts.open(at)                       six keys from KEYS[at] on: coins, totals, floors, the index of the buckets
--                                           of one kind (these two are for dedupe), ledger, accounts
--   accounts.want(a, user)                  to be said of all before they are loaded
--   accounts.load(a)
--   accounts.get(a, user)                   the account of one who is wanted: the fields of `read_record`
--   accounts.changed(a, account)            it is to be written; said by all that follow
--   accounts.spend(a, account, coins)       bonus coins first
--   accounts.issue(a, account, paid, bonus) returns how many of them settle debt, bonus coins first
--   accounts.take_back(a, account, paid, bonus)
--                                           bonus coins of bonus, the rest of paid coins; returns how many paid, how
--                                           many bonus coins were there, and how many became debt
--   accounts.give_back(a, account, paid, bonus)
--                                           returns how many of them settle debt
--   accounts.freeze(a, account, bits), accounts.unfreeze(a, account, bits)
--                                           bits of Frozen; that of debt follows from the debt
--   accounts.flush_issued(a)                write what was issued, taken, given and frozen: totals, entries, then coins
--   accounts.flush_spent(a)                 write what was spent: coins, then totals and entries
-- A record is what ledger/account.py reads, too: plain digits, as an older version wrote them, are coins that were
-- granted. Amounts and times (ms) are doubles, which keep all that an amount may be.
-- @include amount
-- @include hash
-- @include entries
-- @include protection
local accounts = { KEYS = 6 }
local Frozen = { DEBT = 1, WARNING = 2, DISPUTE = 4, BANNED = 8, GUARDIAN = 16 }
local RECORD = '<' .. string.rep('d', 19)
local DIGITS_MAX = 16 -- a longer value is a record

function accounts.open(at)
  return {
    coins = hash.new(KEYS[at]), totals = KEYS[at + 1], floors = KEYS[at + 2], index = KEYS[at + 3], floor = false,
    entries = new_entries(KEYS[at + 4]), cold = KEYS[at + 5], users = {}, written = {}, n = 0,
    issued = 0, spent = 0, taken = 0, debt = 0,
  }
end

local function new_account(user, coins)
  return {
    user = user, coins = coins, bonus = coins, debt = 0, frozen = 0, blocked_until = 0, roll_at = 0, since = 0, day = 0,
    month = 0, left = MAX_AMOUNT, notice_at = 0, gift_cap = 0, streak_cap = 0, confirm_above = 0, run_coins = 0,
    run_last = 0, velocity = 0, sent = 0, purchased = 0, changed = false,
  }
end

local function read_record(user, record)
  local coins, bonus, debt, frozen, blocked_until, roll_at, since, day, month, left, notice_at, gift_cap, streak_cap,
    confirm_above, run_coins, run_last, velocity, sent, purchased = struct.unpack(RECORD, record)
  return {
    user = user, coins = coins, bonus = bonus, debt = debt, frozen = frozen, blocked_until = blocked_until,
    roll_at = roll_at, since = since, day = day, month = month, left = left, notice_at = notice_at,
    gift_cap = gift_cap, streak_cap = streak_cap, confirm_above = confirm_above, run_coins = run_coins,
    run_last = run_last, velocity = velocity, sent = sent, purchased = purchased, changed = false,
  }
end

local function pack_record(account)
  return struct.pack(RECORD, account.coins, account.bonus, account.debt, account.frozen, account.blocked_until,
    account.roll_at, account.since, account.day, account.month, account.left, account.notice_at, account.gift_cap,
    account.streak_cap, account.confirm_above, account.run_coins, account.run_last, account.velocity, account.sent,
    account.purchased)
end

function accounts.want(a, user)
  hash.want(a.coins, user)
end

function accounts.load(a)
  hash.load(a.coins)
end

function accounts.get(a, user)
  local account = a.users[user]
  if not account then
    local record = a.coins.values[user]
    local packed = record and #record > DIGITS_MAX
    account = packed and read_record(user, record) or new_account(user, (record or 0) + 0)
    a.users[user] = account
  end
  return account
end

function accounts.changed(a, account)
  if not account.changed then
    local n = a.n + 1
    account.changed, a.n, a.written[n] = true, n, account
  end
end

function accounts.spend(a, account, coins)
  account.coins = account.coins - coins
  account.bonus = math.max(account.bonus - coins, 0)
  account.sent = account.sent + coins
  a.spent = a.spent + coins
  accounts.changed(a, account)
end

local function set_debt(a, account, debt)
  a.debt = a.debt + debt - account.debt
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

function accounts.issue(a, account, paid, bonus)
  local settled = settle(a, account, paid, bonus)
  account.purchased = account.purchased + paid
  a.issued, a.taken = a.issued + paid + bonus, a.taken + settled
  return settled
end

function accounts.take_back(a, account, paid, bonus)
  local of_bonus = math.min(account.bonus, bonus)
  local of_paid = math.min(account.coins - account.bonus, paid + bonus - of_bonus)
  local debt = paid + bonus - of_bonus - of_paid
  account.coins, account.bonus = account.coins - of_bonus - of_paid, account.bonus - of_bonus
  a.taken = a.taken + of_bonus + of_paid
  set_debt(a, account, account.debt + debt)
  return of_paid, of_bonus, debt
end

function accounts.give_back(a, account, paid, bonus)
  local settled = settle(a, account, paid, bonus)
  a.taken = a.taken - paid - bonus + settled
  return settled
end

function accounts.freeze(a, account, bits)
  account.frozen = bit.bor(account.frozen, bits)
  accounts.changed(a, account)
end

function accounts.unfreeze(a, account, bits)
  account.frozen = bit.band(account.frozen, bit.bnot(bits))
  accounts.changed(a, account)
end

-- What was spent when goes first: what breaks off in between counts coins twice, rather than never.
local function flush_records(a)
  local args = {}
  protection.flush(a, a.written)
  for i, account in ipairs(a.written) do
    args[2 * i - 1], args[2 * i] = account.user, pack_record(account)
    account.changed = false
  end
  call_in_chunks('HSET', a.coins.key, args)
  a.written, a.n = {}, 0
end

local function add_total(a, name)
  if a[name] ~= 0 then
    redis.call('HINCRBY', a.totals, name, a[name])
  end
end

function accounts.flush_issued(a)
  add_total(a, 'issued')
  add_total(a, 'taken')
  add_total(a, 'debt')
  write_entries(a.entries)
  flush_records(a)
end

function accounts.flush_spent(a)
  if a.spent > 0 then
    flush_records(a)
    add_total(a, 'spent')
    write_entries(a.entries)
  end
end
