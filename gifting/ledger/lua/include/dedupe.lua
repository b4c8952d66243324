-- dedupe: what became of a key. A key's bucket follows from the key's own time, so buckets expire whole.
--   new(name, window, lead, width)  times in ms
--   :want(base, key, time)
--   :check(base, key, time, digest, now) -> status, stored    status nil: the key is new
--   :keep(base, key, time, digest, stored, now)
-- @include status
-- @include hashes
local Dedupe = {}
Dedupe.__index = Dedupe
local DIGEST_SIZE = 8

function Dedupe.new(name, window, lead, width)
  return setmetatable({ name = name, window = window, lead = lead, width = width, fresh = {} }, Dedupe)
end

function Dedupe:bucket(base, time)
  return base .. ':' .. self.name .. ':' .. math.floor(time / self.width)
end

function Dedupe:want(base, key, time)
  hashes.want(self:bucket(base, time), key)
end

function Dedupe:check(base, key, time, digest, now)
  if now - time > self.window then
    return Status.KEY_EXPIRED
  end
  if time - now > self.lead then
    return Status.KEY_IN_FUTURE
  end
  local record = hashes.get(self:bucket(base, time), key)
  if not record then
    return nil
  end
  if string.sub(record, 1, DIGEST_SIZE) ~= digest then
    return Status.KEY_REUSED
  end
  return Status.OK, string.sub(record, DIGEST_SIZE + 1)
end

function Dedupe:keep(base, key, time, digest, stored, now)
  local bucket = self:bucket(base, time)
  hashes.put(bucket, key, digest .. stored)
  -- A bucket outlives its last key's window by one width.
  self.fresh[bucket] = (math.floor(time / self.width) + 2) * self.width + self.window - now
end

function Dedupe:flush()
  for bucket, ttl in pairs(self.fresh) do
    redis.call('PEXPIRE', bucket, digits(ttl))
  end
end
