#!lua flags=allow-oom
-- revoke: note a revocation under the next revision, by which nodes find what is new. Doing it again changes nothing.
-- KEYS [1]  the revocations of its kind
--      [2]  the revisions of all kinds; its member ~ has the last one
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [kind, name, when it may be forgotten or 0, else ms from now until then, at most of this kind,
--           1 if it stands for all that were noted before]
-- returns   msgpack [1 if it is noted; 0 if there are too many, when it may be forgotten]
-- @include clock
-- @include digits
local now = clock(ARGV[1])
local kind, name, at, life, most, for_all = unpack(cmsgpack.unpack(ARGV[2]))
local forgotten = at > 0 and at or now + life
local PAGE = 1000

-- Every call forgets a page at least, so the set shrinks even while it is full.
local function forget(before, pages)
  for _ = 1, pages do
    local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. digits(before), 'LIMIT', 0, PAGE)
    if #over == 0 then
      return
    end
    redis.call('ZREM', KEYS[1], unpack(over))
    for i, other in ipairs(over) do
      over[i] = kind .. other
    end
    redis.call('ZREM', KEYS[2], unpack(over))
  end
end

forget(now, 1)
if redis.call('ZCARD', KEYS[1]) >= most and not redis.call('ZSCORE', KEYS[1], name) then
  return cmsgpack.pack({ 0, forgotten })
end
if redis.call('ZADD', KEYS[1], 'GT', 'CH', forgotten, name) == 1 then
  redis.call('ZADD', KEYS[2], redis.call('ZINCRBY', KEYS[2], 1, '~'), kind .. name)
end
if for_all == 1 then
  forget(forgotten, most)
end
return cmsgpack.pack({ 1, forgotten })
