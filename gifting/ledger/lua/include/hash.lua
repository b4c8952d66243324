-- hash: a write-back cache over one Redis hash, so that a batch reads it once (HMGET) and writes it once (HSET).
--   hash.new(key)
--   hash.want(h, field)        this field will be asked for; to be said of all before they are loaded
--   hash.load(h)               fetch all that is wanted
--   h.values[field]            then: string, number or false
--   hash.put(h, field, value)
--   hash.flush(h)              write what changed
-- Lengths are counted, here as in the other includes: `#` searches for the end each time.
-- @include chunks
local hash = {}

function hash.new(key)
  return { key = key, values = {}, fields = { nil }, n = 0, found = false, dirty = false }
end

function hash.want(h, field)
  if h.values[field] == nil then
    local n = h.n + 1
    h.n, h.values[field], h.fields[n] = n, false, field
  end
end

function hash.load(h)
  local values, found = h.values, call_in_chunks('HMGET', h.key, h.fields)
  for i, field in ipairs(h.fields) do
    values[field] = found[i]
  end
  h.found = found
end

function hash.put(h, field, value)
  h.values[field], h.dirty = value, true
end

function hash.flush(h)
  local values, found, args, n = h.values, h.found, {}, 0
  for i, field in ipairs(h.fields) do
    local value = values[field]
    if value ~= found[i] then
      args[n + 1], args[n + 2] = field, value
      n = n + 2
    end
  end
  call_in_chunks('HSET', h.key, args)
  h.dirty = false
end
