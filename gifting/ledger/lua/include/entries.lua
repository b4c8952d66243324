-- new_entries(key), write_entries(e): what a call enters in a partition's ledger, as one item of the stream at the key
-- `e.key`; ledger/entries.py reads them. An entry is a msgpack array in any number of pieces, which stand from
-- e[e.n + 1] on; `e.n`, how many pieces there are, begins at 0. There is a place for those of one from the start: to
-- let tables grow costs a lone gift 2 %.
-- @include join
local function new_entries(key)
  return { nil, nil, nil, nil, nil, nil, nil, nil, key = key, n = 0 }
end

local function write_entries(e)
  if e.n > 0 then
    redis.call('XADD', e.key, '*', 'e', join(e, e.n, 500))
  end
end
