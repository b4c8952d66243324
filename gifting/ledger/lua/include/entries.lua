-- enter(e, header, ...), write_entries(e): what a call enters in a partition's ledger, as one item of the stream at the
-- key `e.key`; ledger/entries.py reads them. An entry is its msgpack array header and its fields; `e.n` begins at 0.
local function enter(e, header, ...)
  local n = e.n
  e[n + 1], e[n + 2] = header, cmsgpack.pack(...)
  e.n = n + 2
end

local function write_entries(e)
  if e.n > 0 then
    redis.call('XADD', e.key, '*', 'e', table.concat(e))
  end
end
