-- partition: the money of one partition while a script changes it.
--   partition.new(base)
--   partition.balance(p, user)                  coins
--   partition.add_total(p, name, amount)        to 'issued' or 'spent'
--   partition.entry(p, header, ...)             note an entry for the ledger stream: its msgpack array header, its fields
--   partition.load(p), partition.flush(p)
-- The entries are described in ledger/entries.py; a batch's entries share one item of the stream.
-- @include hash
local partition = {}

function partition.new(base)
  return {
    base = base, coins = hash.new(base .. ':coins'), totals = hash.new(base .. ':totals'),
    diamonds = hash.new(base .. ':diamonds'), carry = hash.new(base .. ':carry'),
    entries = {}, pieces = 0, rooms = {},
  }
end

function partition.balance(p, user)
  return tonumber(hash.get(p.coins, user) or 0)
end

function partition.add_total(p, name, amount)
  hash.put(p.totals, name, tonumber(hash.get(p.totals, name) or 0) + amount)
end

function partition.entry(p, header, ...)
  local n = p.pieces
  p.entries[n + 1], p.entries[n + 2] = header, cmsgpack.pack(...)
  p.pieces = n + 2
end

function partition.load(p)
  hash.load(p.coins)
  hash.load(p.diamonds)
  hash.load(p.carry)
end

function partition.flush(p)
  hash.flush(p.coins)
  hash.flush(p.totals)
  hash.flush(p.diamonds)
  hash.flush(p.carry)
  if p.pieces > 0 then
    redis.call('XADD', p.base .. ':ledger', '*', 'e', table.concat(p.entries))
  end
end
