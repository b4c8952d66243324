-- accounts: a partition's users while a script changes what they have in coins.
--   accounts.open(at)                       five keys from KEYS[at] on: coins, totals, floors, the index of the buckets
--                                           of one kind (these two are for dedupe), ledger
--   accounts.balance(a, user)
--   accounts.total(a, name)                 of 'issued' or 'spent'
--   accounts.spend(a, user, balance, coins) returns what is left of that balance
--   accounts.flush_spent(a)
-- @include hash
-- @include entries
local accounts = { KEYS = 5 }

function accounts.open(at)
  return {
    coins = hash.new(KEYS[at]), totals = hash.new(KEYS[at + 1]), floors = KEYS[at + 2], index = KEYS[at + 3],
    entries = { key = KEYS[at + 4], n = 0 }, spent = 0,
  }
end

function accounts.balance(a, user)
  return tonumber(hash.get(a.coins, user) or 0)
end

function accounts.total(a, name)
  return tonumber(hash.get(a.totals, name) or 0)
end

function accounts.spend(a, user, balance, coins)
  hash.put(a.coins, user, balance - coins)
  a.spent = a.spent + coins
  return balance - coins
end

function accounts.flush_spent(a)
  if a.spent > 0 then
    hash.put(a.totals, 'spent', accounts.total(a, 'spent') + a.spent)
  end
  hash.flush(a.coins)
  hash.flush(a.totals)
  write_entries(a.entries)
end
