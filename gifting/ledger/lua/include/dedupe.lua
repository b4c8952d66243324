-- dedupe: what became of a key. A key's bucket follows from the key's own time. Redis never expires one: forget.lua
-- deletes it whole once it raises the partition's floor past it, and what is below the floor is refused for ever.
--   dedupe.new(name, window, lead, width)         times in ms
--   dedupe.bucket(d, base, time)                  a hash, where a key of that time is kept; nil below the floor
--   dedupe.check(bucket, key, digest)             status and what is stored; status nil: the key is new
--   dedupe.refusal(d, time, now)                  why a new key of that time is refused, or nil
--   dedupe.keep(bucket, key, digest, stored)
--   dedupe.load(d), dedupe.flush(d)
-- What is stored goes before the window, the floor before both: so a clock that goes back opens nothing.
-- @include status
-- @include digits
-- @include hash
local dedupe = {}
local DIGEST_SIZE = 8

function dedupe.new(name, window, lead, width)
  return { name = name, window = window, lead = lead, width = width, places = {} }
end

-- One partition's buckets, and the zset that says which there are, each by when its last key's time is over.
local function place(d, base)
  local found = d.places[base]
  if not found then
    found = {
      floor = tonumber(redis.call('HGET', base .. ':floors', d.name) or 0), index = base .. ':' .. d.name, buckets = {},
    }
    d.places[base] = found
  end
  return found
end

function dedupe.bucket(d, base, time)
  local p = place(d, base)
  if time < p.floor then
    return nil
  end
  local number = math.floor(time / d.width)
  local bucket = p.buckets[number]
  if not bucket then
    bucket = hash.new(p.index .. ':' .. digits(number))
    p.buckets[number] = bucket
  end
  return bucket
end

function dedupe.check(bucket, key, digest)
  local record = hash.get(bucket, key)
  if not record then
    return nil
  end
  if string.sub(record, 1, DIGEST_SIZE) ~= digest then
    return Status.KEY_REUSED
  end
  return Status.OK, string.sub(record, DIGEST_SIZE + 1)
end

-- KEY_EXPIRED is kept under the key: who was told so may have made a new one, whatever the clock says later.
-- KEY_IN_FUTURE is not: the key becomes good when its time comes.
function dedupe.refusal(d, time, now)
  if now - time > d.window then
    return Status.KEY_EXPIRED
  end
  if time - now > d.lead then
    return Status.KEY_IN_FUTURE
  end
  return nil
end

function dedupe.keep(bucket, key, digest, stored)
  hash.put(bucket, key, digest .. stored)
end

function dedupe.load(d)
  for _, p in pairs(d.places) do
    for _, bucket in pairs(p.buckets) do
      hash.load(bucket)
    end
  end
end

function dedupe.flush(d)
  for _, p in pairs(d.places) do
    for number, bucket in pairs(p.buckets) do
      if next(bucket.dirty) then
        if redis.call('ZADD', p.index, (number + 1) * d.width, bucket.key) == 1 then
          redis.call('PERSIST', bucket.key) -- an older version made buckets that expire
        end
        hash.flush(bucket)
      end
    end
  end
end
