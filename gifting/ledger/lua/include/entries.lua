-- entries: what a call enters in a partition's ledger, as one item of the stream; ledger/entries.py reads them.
--   entries.new(key)
--   entries.add(e, header, ...)   an entry: its msgpack array header, its fields
--   entries.flush(e)
local entries = {}

function entries.new(key)
  return { key = key, n = 0 }
end

function entries.add(e, header, ...)
  local n = e.n
  e[n + 1], e[n + 2] = header, cmsgpack.pack(...)
  e.n = n + 2
end

function entries.flush(e)
  if e.n > 0 then
    redis.call('XADD', e.key, '*', 'e', table.concat(e))
  end
end
