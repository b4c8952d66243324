-- hash: a write-back cache over one Redis hash, so that a batch reads it once (HMGET) and writes it once (HSET).
--   hash.new(key)
--   hash.want(h, field)        this field will be asked for
--   hash.load(h)               fetch all that is wanted
--   hash.get(h, field)         string, number or false
--   hash.put(h, field, value)
--   hash.flush(h)              write what changed
-- Lengths are counted, here as in the other includes: `#` searches for the end each time.
-- @include chunks
local hash = {}

function hash.new(key)
  return { key = key, values = {}, wanted = {}, wants = 0, dirty = {} }
end

function hash.want(h, field)
  if h.values[field] == nil then
    h.values[field] = false
    h.wants = h.wants + 1
    h.wanted[h.wants] = field
  end
end

function hash.load(h)
  local found = {}
  call_in_chunks('HMGET', h.key, h.wanted, found)
  for i, field in ipairs(h.wanted) do
    h.values[field] = found[i]
  end
  h.wanted, h.wants = {}, 0
end

function hash.get(h, field)
  local value = h.values[field]
  if value == nil then
    value = redis.call('HGET', h.key, field)
    h.values[field] = value
  end
  return value
end

function hash.put(h, field, value)
  h.values[field] = value
  h.dirty[field] = true
end

function hash.flush(h)
  local args, n = {}, 0
  for field in pairs(h.dirty) do
    args[n + 1], args[n + 2] = field, h.values[field]
    n = n + 2
  end
  call_in_chunks('HSET', h.key, args)
  h.dirty = {}
end
