-- hash: a write-back cache over one Redis hash, so that a batch reads it once (HMGET) and writes it once (HSET).
--   hash.new(key)
--   hash.want(h, field)        this field will be asked for
--   hash.load(h)               fetch all that is wanted
--   hash.get(h, field)         string, number or false
--   hash.put(h, field, value)
--   hash.flush(h)              write what changed
-- @include chunks
local hash = {}

function hash.new(key)
  return { key = key, values = {}, wanted = {}, dirty = {} }
end

function hash.want(h, field)
  if h.values[field] == nil then
    h.values[field] = false
    h.wanted[#h.wanted + 1] = field
  end
end

function hash.load(h)
  local found = {}
  call_in_chunks('HMGET', h.key, h.wanted, found)
  for i, field in ipairs(h.wanted) do
    h.values[field] = found[i]
  end
  h.wanted = {}
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
  local args = {}
  for field in pairs(h.dirty) do
    args[#args + 1] = field
    args[#args + 1] = h.values[field]
  end
  call_in_chunks('HSET', h.key, args)
  h.dirty = {}
end
