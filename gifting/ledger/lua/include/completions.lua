-- completions: results that are kept of gifts (dedupe.lua), in which what their credits said was not known yet.
--   completions.want(d, values)    of the debits d: per gift its bucket's place, key, seq, repeat_count and streak, as
--                                  msgpack values one after another. To be said before d is loaded
--   completions.put(list)          of what `want` returned
-- @include hash
-- @include wire
local completions = {}
local SEQ_AT = 10 -- behind the digest, and OK, which is one byte; there 0 is no seq

local function want_one(d, list, at, place, key, seq, repeat_count, streak)
  local bucket = d.buckets[place]
  hash.want(bucket, key)
  list[#list + 1] = { bucket = bucket, key = key, seq = seq, repeat_count = repeat_count, streak = streak }
  return at
end

function completions.want(d, values)
  local at, list = 0, {}
  while at >= 0 and #values > 0 do
    at = want_one(d, list, cmsgpack.unpack_limit(values, 5, at))
  end
  return list
end

local function waits(record)
  return record and string.byte(record, SEQ_AT - 1) == 0 and string.byte(record, SEQ_AT) == 0
end

function completions.put(list)
  for _, one in ipairs(list) do
    local record = one.bucket.values[one.key]
    if waits(record) then
      hash.put(one.bucket, one.key, string.sub(record, 1, SEQ_AT - 1) .. wire[one.seq]
        .. string.sub(record, SEQ_AT + 1, -3) .. wire[one.repeat_count] .. wire[one.streak])
    end
  end
end
