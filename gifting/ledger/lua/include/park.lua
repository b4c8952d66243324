-- park: gifts that came before their turn, until those before them have come; and what then became of them, for who
-- sent them. Each source has a hash: number → msgpack values, the blob and then the keys of its rooms; 'r', the number,
-- '-' and its epoch → results. All of it is gone KEPT after the last change: what is owed stays in the outbox.
--   park.put(key, mark, blob, rooms)    blob: as marks.lua has it, and `packed`
--   park.find(key, mark, seq)           such a packed blob, and its rooms' keys after it, or nil
--   park.drop(key, mark, seq)
--   park.keep(key, blob)                its results
--   park.results(key, blob)             or false
-- @include digits
-- @include epochs
local park = {}
local KEPT = 60000 -- ms

local function place_of(mark, seq)
  for place, parked in ipairs(mark.parked) do
    if parked == seq then
      return place
    end
  end
  return nil
end

function park.put(key, mark, blob, rooms)
  if not place_of(mark, blob.seq) then
    mark.parked[#mark.parked + 1] = blob.seq
  end
  redis.call('HSET', key, blob.seq, cmsgpack.pack(blob.packed, unpack(rooms)))
  redis.call('PEXPIRE', key, KEPT)
end

function park.drop(key, mark, seq)
  table.remove(mark.parked, place_of(mark, seq))
  redis.call('HDEL', key, seq)
end

function park.find(key, mark, seq)
  if not place_of(mark, seq) then
    return nil
  end
  local found = redis.call('HGET', key, seq)
  if not found then
    park.drop(key, mark, seq)
    return nil
  end
  return cmsgpack.unpack(found)
end

-- The number may be another's, in a later epoch.
local function field(blob)
  return 'r' .. blob.seq .. '-' .. digits(epochs.last(blob.epochs))
end

function park.keep(key, blob)
  redis.call('HSET', key, field(blob), blob.results)
  redis.call('PEXPIRE', key, KEPT)
end

function park.results(key, blob)
  return redis.call('HGET', key, field(blob))
end
