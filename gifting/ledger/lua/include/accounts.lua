-- accounts: a partition's users while a script changes what they have in coins.
--   accounts.open(at)                       five keys from KEYS[at] on: coins, totals, floors, the index of the buckets
--                                           of one kind (these two are for dedupe), ledger
--   accounts.balance(a, user)               of a user who is wanted in a.coins, which is loaded
--   accounts.spend(a, user, balance, coins) returns what is left of that balance
--   accounts.add_total(a, name, coins)      to 'issued' or 'spent'
--   accounts.flush_spent(a)
-- @include hash
-- @include entries
local accounts = { KEYS = 5 }

function accounts.open(at)
  return {
    coins = hash.new(KEYS[at]), totals = KEYS[at + 1], floors = KEYS[at + 2], index = KEYS[at + 3], floor = false,
    entries = new_entries(KEYS[at + 4]), spent = 0,
  }
end

function accounts.balance(a, user)
  return (a.coins.values[user] or 0) + 0 -- what was loaded is a string
end

function accounts.spend(a, user, balance, coins)
  local left = balance - coins
  hash.put(a.coins, user, left)
  a.spent = a.spent + coins
  return left
end

function accounts.add_total(a, name, coins)
  redis.call('HINCRBY', a.totals, name, coins)
end

function accounts.flush_spent(a)
  if a.spent > 0 then
    hash.flush(a.coins)
    accounts.add_total(a, 'spent', a.spent)
    write_entries(a.entries)
  end
end
