#!lua
-- creator_put: change what is known of a creator. A commission holds for every gift that is taken after this.
-- KEYS [1]  seven keys as host_redo takes them
--      [7]  of these, the creators of the partition
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [creator, version of that which the record was made of, record, commission in basis points or -1 to
--           leave it; for the ledger: key, what, value, by]
-- returns   msgpack status; CONFLICT: the record has another version
-- If this breaks off, what is left of it is done by whoever changes something of the creator next (host_redo.lua).
-- @include status
-- @include clock
-- @include host_redo
local now = clock(ARGV[1])
local creator, version, record, commission, key, what, value, by = unpack(cmsgpack.unpack(ARGV[2]))
local ACCOUNT = '\151\167account' -- an array of 7 and its first field
local h = host_redo.open(creator)
host_redo.complete(h)
local stored = redis.call('HGET', KEYS[7], creator)

if version ~= (stored and cmsgpack.unpack(stored).v or 0) then
  return cmsgpack.pack(Status.CONFLICT)
end
h.e[1], h.e.n = ACCOUNT .. cmsgpack.pack(now, key, creator, what, value, by), 1
local sets = commission >= 0 and { [creator .. '/bps'] = commission } or nil
host_redo.write(h, { key = key, sets = sets, goal = { at = 7, fields = { creator, record } } })
return cmsgpack.pack(Status.OK)
