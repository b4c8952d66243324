-- completions: results that are kept of gifts (dedupe.lua), in which what their credits said was not known yet.
--   completions.want(d, values)    of the debits d: per gift its bucket's place, key, and as the result is to have
--                                  them the wire bytes of seq, and of repeat_count and streak; as msgpack values
--                                  one after another. To be said before d is loaded
--   completions.put(list)          of what `want` returned
-- @include hash
local completions = {}
local OK_AT, SEQ_AT = 9, 10 -- behind the digest; one byte each, as OK is, and 0, which is no seq
local WAITS = '\0\0'

-- Four values of the list each: no table is made for each gift.
local function want_one(d, list, n, at, place, key, seq, rest)
  local bucket = d.buckets[place]
  hash.want(bucket, key)
  list[n + 1], list[n + 2], list[n + 3], list[n + 4] = bucket, key, seq, rest
  return at
end

function completions.want(d, values)
  local at, list, n = 0, {}, 0
  while at >= 0 and #values > 0 do
    at, n = want_one(d, list, n, cmsgpack.unpack_limit(values, 4, at)), n + 4
  end
  return list
end

function completions.put(list)
  for i = 1, #list, 4 do
    local bucket, key = list[i], list[i + 1]
    local record = bucket.values[key]
    if record and string.sub(record, OK_AT, SEQ_AT) == WAITS then
      local coins = string.sub(record, SEQ_AT + 1, -3) -- between seq, and repeat_count and streak, a byte each
      hash.put(bucket, key, string.sub(record, 1, OK_AT) .. list[i + 2] .. coins .. list[i + 3])
    end
  end
end
