-- hashes: a write-back cache, so that a batch reads each hash once (HMGET) and writes each once (HSET, HDEL).
--   want(key, field)       this field will be asked for
--   load()                 fetch all that is wanted
--   get(key, field)        string, number or false
--   put(key, field, value) value false deletes
--   flush()                write what changed
-- @include digits
local hashes = { values = {}, wanted = {}, dirty = {} }
local CHUNK = 1000 -- unpack() has room for some 8000

function hashes.values_of(key)
  local values = hashes.values[key]
  if not values then
    values = {}
    hashes.values[key] = values
  end
  return values
end

function hashes.want(key, field)
  local values = hashes.values_of(key)
  if values[field] == nil then
    values[field] = false
    local wanted = hashes.wanted[key]
    if wanted then
      wanted[#wanted + 1] = field
    else
      hashes.wanted[key] = { field }
    end
  end
end

function hashes.load()
  for key, fields in pairs(hashes.wanted) do
    local values = hashes.values[key]
    for from = 1, #fields, CHUNK do
      local to = math.min(from + CHUNK - 1, #fields)
      local found = redis.call('HMGET', key, unpack(fields, from, to))
      for i = from, to do
        values[fields[i]] = found[i - from + 1]
      end
    end
  end
  hashes.wanted = {}
end

function hashes.get(key, field)
  local value = hashes.values_of(key)[field]
  if value == nil then
    value = redis.call('HGET', key, field)
    hashes.values[key][field] = value
  end
  return value
end

function hashes.put(key, field, value)
  hashes.values_of(key)[field] = value
  local dirty = hashes.dirty[key]
  if not dirty then
    dirty = {}
    hashes.dirty[key] = dirty
  end
  dirty[field] = true
end

local function write_hash(command, key, args)
  for from = 1, #args, CHUNK do
    redis.call(command, key, unpack(args, from, math.min(from + CHUNK - 1, #args)))
  end
end

function hashes.flush()
  for key, fields in pairs(hashes.dirty) do
    local values, set, deleted = hashes.values[key], {}, {}
    for field in pairs(fields) do
      local value = values[field]
      if value == false then
        deleted[#deleted + 1] = field
      else
        set[#set + 1] = field
        set[#set + 1] = type(value) == 'number' and digits(value) or value
      end
    end
    write_hash('HSET', key, set)
    write_hash('HDEL', key, deleted)
  end
  hashes.dirty = {}
end
