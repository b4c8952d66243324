-- accounts: a partition's users while a script changes what they have in coins, and what is known of them beside it.
--   accounts.open(at)                       six keys from KEYS[at] on: coins, totals, floors, the index of the buckets
--                                           of one kind (these two are for dedupe), ledger, accounts
--   accounts.want(a, user)                  to be said of all before they are loaded
--   accounts.load(a)
--   accounts.get(a, user)                   the account of one who is wanted: the fields of ledger/account.py
--   accounts.brief(a, user)                 likewise; but one which nothing restricts is `plain`, and without the
--                                           fields of include/restrictions.lua
--   accounts.packed(account)                its record
--   accounts.changed(a, account)            it is to be written; said by all that follow
--   accounts.flush(a)                       write the records that have changed
--   accounts.add_total(a, name)             'issued', 'spent', 'taken' or 'debt', by what a has of it
--   accounts.flush_spent(a)                 write what was spent: records, then totals and entries
-- A record is what ledger/account.py reads, too: plain digits, as the first version wrote them, are coins that were
-- granted. Else it is doubles, which keep all that an amount or a time (ms) may be: 11 in the order of `read_brief`,
-- or 19, of those whom a debt, a freeze, a break, a limit or a cap restricts.
-- @include amount
-- @include hash
-- @include entries
-- @include least
-- @include status
-- @include protection, late
-- @include restrictions, late
local accounts = { KEYS = 6 }
local RECORD, RECORD_SIZE = '<' .. string.rep('d', 11), 88
local DIGITS_MAX = 16 -- a longer value is a record

function accounts.open(at)
  return {
    coins = hash.new(KEYS[at]), totals = KEYS[at + 1], floors = KEYS[at + 2], index = KEYS[at + 3], floor = false,
    entries = new_entries(KEYS[at + 4]), cold = KEYS[at + 5], users = {}, written = { nil }, n = 0, spent = 0,
    rolled = false,
  }
end

local function read_brief(user, record)
  local coins, bonus, roll_at, since, day, month, run_coins, run_last, velocity, sent, purchased =
    struct.unpack(RECORD, record)
  return {
    user = user, coins = coins, bonus = bonus, roll_at = roll_at, since = since, day = day, month = month,
    run_coins = run_coins, run_last = run_last, velocity = velocity, sent = sent, purchased = purchased, plain = true,
    changed = false,
  }
end

local function read_record(user, record)
  local size = #record
  if size == RECORD_SIZE then
    return read_brief(user, record)
  elseif size > DIGITS_MAX then
    return restrictions.read(user, record)
  end
  return restrictions.new(user, record + 0)
end

function accounts.packed(account)
  if account.plain or not restrictions.found(account) then
    return struct.pack(RECORD, account.coins, account.bonus, account.roll_at, account.since, account.day,
      account.month, account.run_coins, account.run_last, account.velocity, account.sent, account.purchased)
  end
  return restrictions.pack(account)
end

function accounts.want(a, user)
  hash.want(a.coins, user)
end

function accounts.load(a)
  hash.load(a.coins)
end

function accounts.brief(a, user)
  local account = a.users[user]
  if not account then
    account = read_record(user, a.coins.values[user] or '0')
    a.users[user] = account
  end
  return account
end

function accounts.get(a, user)
  local account = accounts.brief(a, user)
  if account.plain then
    restrictions.add(account)
  end
  return account
end

function accounts.changed(a, account)
  if not account.changed then
    local n = a.n + 1
    account.changed, a.n, a.written[n] = true, n, account
  end
end

-- What was spent when goes first: what breaks off in between counts coins twice, rather than never.
function accounts.flush(a)
  local args = {}
  if a.rolled then
    protection.flush(a, a.written)
  end
  for i, account in ipairs(a.written) do
    args[2 * i - 1], args[2 * i] = account.user, accounts.packed(account)
    account.changed = false
  end
  call_in_chunks('HSET', a.coins.key, args)
  a.written, a.n = {}, 0
end

function accounts.add_total(a, name)
  if (a[name] or 0) ~= 0 then
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
