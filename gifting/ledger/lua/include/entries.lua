-- write_entries(e): write what a call enters in a partition's ledger, as one item of the stream at the key `e.key`;
-- ledger/entries.py reads them. An entry is a msgpack array in any number of pieces, which stand from e[e.n + 1] on;
-- `e.n`, how many pieces there are, begins at 0.
local function write_entries(e)
  if e.n > 0 then
    redis.call('XADD', e.key, '*', 'e', table.concat(e))
  end
end
