-- dedupe: what became of a key. A key's bucket follows from the key's own time. Redis never expires one: forget.lua
-- deletes it whole once it raises the partition's floor past it, and what is below the floor is refused for ever.
--   dedupe.new(name, window, lead, width)             times in ms
--   dedupe.bucket(d, a, key, number)                  the bucket of that number, of a partition's accounts, at a key
--   dedupe.check(d, bucket, key, time, digest, now)   of a key that is wanted; nil: it is good. Else a
--                                                     status, what is stored (nil: it is a refusal), and whether the
--                                                     refusal is to be kept
--   dedupe.keep(bucket, key, digest, stored)
--   dedupe.load(d), dedupe.flush(d)
--   dedupe.guard(d, write, unknown)                   call write(), which flushes. If it breaks off, so does this, and
--                                                     keeps `unknown` under all keys: what they did may be half done
-- What is stored goes before the window, the floor before both: so a clock that goes back opens nothing.
-- @include status
-- @include hash
local dedupe = {}
local DIGEST_SIZE = 8

function dedupe.new(name, window, lead, width)
  return { name = name, window = window, lead = lead, width = width, buckets = { nil }, n = 0 }
end

function dedupe.bucket(d, a, key, number)
  a.floor = a.floor or tonumber(redis.call('HGET', a.floors, d.name) or 0)
  local bucket = hash.new(key)
  bucket.accounts, bucket.number = a, number
  d.n = d.n + 1
  d.buckets[d.n] = bucket
  return bucket
end

-- KEY_EXPIRED is kept under the key: who was told so may have made a new one, whatever the clock says later. Not below
-- the floor, where no key is good again, and KEY_IN_FUTURE neither: the key becomes good when its time comes.
function dedupe.check(d, bucket, key, time, digest, now)
  if time < bucket.accounts.floor then
    return Status.KEY_EXPIRED
  end
  local record = bucket.values[key]
  if record then
    if string.sub(record, 1, DIGEST_SIZE) ~= digest then
      return Status.KEY_REUSED
    end
    return Status.OK, string.sub(record, DIGEST_SIZE + 1)
  end
  if now - time > d.window then
    return Status.KEY_EXPIRED, nil, true
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
  for _, bucket in ipairs(d.buckets) do
    hash.load(bucket)
  end
end

local function flush_bucket(d, bucket)
  if redis.call('ZADD', bucket.accounts.index, (bucket.number + 1) * d.width, bucket.key) == 1 then
    redis.call('PERSIST', bucket.key) -- an older version made buckets that expire
  end
  hash.flush(bucket)
end

function dedupe.flush(d)
  for _, bucket in ipairs(d.buckets) do
    if bucket.dirty then
      flush_bucket(d, bucket)
    end
  end
end

-- Who asks again is neither charged twice nor told of a success: that the outcome is not known is kept in its stead.
local function doubt(d, unknown)
  for _, bucket in ipairs(d.buckets) do
    for i, key in ipairs(bucket.dirty and bucket.fields or {}) do
      local record = bucket.values[key]
      if record ~= bucket.found[i] then
        hash.put(bucket, key, string.sub(record, 1, DIGEST_SIZE) .. unknown)
      end
    end
    pcall(flush_bucket, d, bucket)
  end
end

function dedupe.guard(d, write, unknown)
  local whole, failure = pcall(write)
  if not whole then
    doubt(d, unknown)
    error(failure, 0)
  end
end
