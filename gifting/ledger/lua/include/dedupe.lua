-- dedupe: what became of a key. A key's bucket follows from the key's own time, so buckets expire whole.
--   dedupe.new(name, window, lead, width)         times in ms
--   dedupe.bucket(d, base, time, now)             a hash, where a key of that time is kept; or nil and a status
--   dedupe.check(bucket, key, digest)             status and what is stored; status nil: the key is new
--   dedupe.keep(bucket, key, digest, stored)
--   dedupe.load(d), dedupe.flush(d, now)
-- @include status
-- @include hash
local dedupe = {}
local DIGEST_SIZE = 8

function dedupe.new(name, window, lead, width)
  return { name = name, window = window, lead = lead, width = width, buckets = {} }
end

function dedupe.bucket(d, base, time, now)
  if now - time > d.window then
    return nil, Status.KEY_EXPIRED
  end
  if time - now > d.lead then
    return nil, Status.KEY_IN_FUTURE
  end
  local number = math.floor(time / d.width)
  local buckets = d.buckets[base]
  if not buckets then
    buckets = {}
    d.buckets[base] = buckets
  end
  local bucket = buckets[number]
  if not bucket then
    bucket = hash.new(base .. ':' .. d.name .. ':' .. number)
    buckets[number] = bucket
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

function dedupe.keep(bucket, key, digest, stored)
  hash.put(bucket, key, digest .. stored)
end

function dedupe.load(d)
  for _, buckets in pairs(d.buckets) do
    for _, bucket in pairs(buckets) do
      hash.load(bucket)
    end
  end
end

function dedupe.flush(d, now)
  for _, buckets in pairs(d.buckets) do
    for number, bucket in pairs(buckets) do
      if next(bucket.dirty) then
        hash.flush(bucket)
        -- A bucket outlives its last key's window by one width.
        redis.call('PEXPIRE', bucket.key, (number + 2) * d.width + d.window - now)
      end
    end
  end
end
