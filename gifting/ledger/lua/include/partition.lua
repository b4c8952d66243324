-- partition: the money of one partition while a script changes it.
--   partition.new(at)                           its keys begin at KEYS[at]: coins, totals, ledger, diamonds, carry, streaks,
--                                               floors, and the index of the buckets of one kind
--   partition.balance(p, user)                  coins
--   partition.add_total(p, name, amount)        to 'issued' or 'spent'
--   partition.entry(entries, header, ...)       note an entry for the ledger, in p.debits (grants too) or p.credits: its
--                                               msgpack array header, its fields
--   partition.load(p)
--   partition.flush_issued(p)                   for a grant: what was issued goes before what somebody got
--   partition.flush_debits(p), partition.flush_credits(p)
-- The entries are described in ledger/entries.py; those of a batch share an item of the stream, debits one and credits one.
-- @include hash
local partition = {}
local PARTITION_KEYS = 8

function partition.new(at)
  return {
    coins = hash.new(KEYS[at]), totals = hash.new(KEYS[at + 1]), ledger = KEYS[at + 2], diamonds = hash.new(KEYS[at + 3]),
    carry = hash.new(KEYS[at + 4]), streaks = KEYS[at + 5], floors = KEYS[at + 6], index = KEYS[at + 7],
    debits = { n = 0 }, credits = { n = 0 }, rooms = {},
  }
end

function partition.balance(p, user)
  return tonumber(hash.get(p.coins, user) or 0)
end

function partition.add_total(p, name, amount)
  hash.put(p.totals, name, tonumber(hash.get(p.totals, name) or 0) + amount)
end

function partition.entry(entries, header, ...)
  local n = entries.n
  entries[n + 1], entries[n + 2] = header, cmsgpack.pack(...)
  entries.n = n + 2
end

function partition.load(p)
  hash.load(p.coins)
  hash.load(p.diamonds)
  hash.load(p.carry)
end

local function enter(p, entries)
  if entries.n > 0 then
    redis.call('XADD', p.ledger, '*', 'e', table.concat(entries))
  end
end

function partition.flush_issued(p)
  hash.flush(p.totals)
  enter(p, p.debits)
  hash.flush(p.coins)
end

function partition.flush_debits(p)
  hash.flush(p.coins)
  hash.flush(p.totals)
  enter(p, p.debits)
end

function partition.flush_credits(p)
  hash.flush(p.diamonds)
  hash.flush(p.carry)
  enter(p, p.credits)
end
