#!lua flags=allow-oom
-- forget: raise the floor below which keys are refused for ever, and delete the buckets that are wholly below it. A
-- floor never falls, whatever is asked for.
-- KEYS [1]  the partition's floors
--      [2]  the index of its buckets of one kind
--      [3+] buckets that the index says are below the new floor
-- ARGV [1]  msgpack [kind, floor ms]
-- returns   the floor as it is now
-- (It may run where memory is short: it frees some.)
-- @include digits
local kind, asked = unpack(cmsgpack.unpack(ARGV[1]))
local floor = math.max(asked, tonumber(redis.call('HGET', KEYS[1], kind) or 0))
redis.call('HSET', KEYS[1], kind, digits(floor))
for i = 3, #KEYS do
  local ends = redis.call('ZSCORE', KEYS[2], KEYS[i])
  if ends and tonumber(ends) <= floor then
    redis.call('UNLINK', KEYS[i])
    redis.call('ZREM', KEYS[2], KEYS[i])
  end
end
return floor
