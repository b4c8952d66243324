-- accounts: a partition's users while a script changes what they have in coins, and what is known of them beside it.
--   accounts.open(at)                       six keys from KEYS[at] on: coins, totals, floors, the index of the buckets
--                                           of one kind (these two are for dedupe), ledger, accounts
--   accounts.want(a, user)                  to be said of all before they are loaded
--   accounts.load(a)
--   accounts.get(a, user)                   the account of one who is wanted: the fields of `read_record`
--   accounts.changed(a, account)            it is to be written; said by all that follow
--   accounts.spend(a, account, coins)       bonus coins first
--   accounts.flush(a)                       write the records that have changed
--   accounts.add_total(a, name)             'issued', 'spent', 'taken' or 'debt', by what a has of it
--   accounts.flush_spent(a)                 write what was spent: records, then totals and entries
-- A record is what ledger/account.py reads, too: plain digits, as an older version wrote them, are coins that were
-- granted. Amounts and times (ms) are doubles, which keep all that an amount may be.
-- @include amount
-- @include hash
-- @include entries
-- @include least
-- @include status
-- @include protection, late
local accounts = { KEYS = 6 }
local RECORD = '<' .. string.rep('d', 19)
local DIGITS_MAX = 16 -- a longer value is a record

function accounts.open(at)
  return {
    coins = hash.new(KEYS[at]), totals = KEYS[at + 1], floors = KEYS[at + 2], index = KEYS[at + 3], floor = false,
    entries = new_entries(KEYS[at + 4]), cold = KEYS[at + 5], users = {}, written = {}, n = 0,
    issued = 0, spent = 0, taken = 0, debt = 0, rolled = false,
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
  account.bonus = account.bonus > coins and account.bonus - coins or 0
  account.sent = account.sent + coins
  a.spent = a.spent + coins
  if not account.changed then
    accounts.changed(a, account)
  end
end

-- What was spent when goes first: what breaks off in between counts coins twice, rather than never.
function accounts.flush(a)
  local args = {}
  if a.rolled then
    protection.flush(a, a.written)
  end
  for i, account in ipairs(a.written) do
    args[2 * i - 1], args[2 * i] = account.user, pack_record(account)
    account.changed = false
  end
  call_in_chunks('HSET', a.coins.key, args)
  a.written, a.n = {}, 0
end

function accounts.add_total(a, name)
  if a[name] ~= 0 then
    redis.call('HINCRBY', a.totals, name, a[name])
  end
end

function accounts.flush_spent(a)
  if a.spent > 0 then
    accounts.flush(a)
    accounts.add_total(a, 'spent')
    write_entries(a.entries)
  end
end
