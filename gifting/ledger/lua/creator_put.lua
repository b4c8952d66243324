#!lua
-- creator_put: change what is known of a creator. A commission holds for every gift that is taken after this.
-- KEYS [1]  the creators of the partition
--      [2]  its diamonds
--      [3]  its ledger
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [creator, version of that which the record was made of, record, commission in basis points or -1 to
--           leave it; for the ledger: key, what, value, by]
-- returns   msgpack status; CONFLICT: the record has another version
-- @include status
-- @include clock
local now = clock(ARGV[1])
local creator, version, record, commission, key, what, value, by = unpack(cmsgpack.unpack(ARGV[2]))
local ACCOUNT = '\151\167account' -- an array of 7 and its first field
local stored = redis.call('HGET', KEYS[1], creator)

if version ~= (stored and cmsgpack.unpack(stored).v or 0) then
  return cmsgpack.pack(Status.CONFLICT)
end
redis.call('XADD', KEYS[3], '*', 'e', ACCOUNT .. cmsgpack.pack(now, key, creator, what, value, by))
if commission >= 0 then
  redis.call('HSET', KEYS[2], creator .. '/bps', commission)
end
redis.call('HSET', KEYS[1], creator, record)
return cmsgpack.pack(Status.OK)
