#!lua flags=allow-oom
-- payouts_forget: take payouts out of what a host has, unless that has changed since it was read. What is kept of them
-- names them, and is written first: if this breaks off, they count as gone, and go with the next.
-- KEYS [1]  the host's payouts
-- ARGV [1]  msgpack [version that was read, what is kept of all that are gone, ids of those that go]
-- returns   msgpack whether it was done
-- (It may run where memory is short: it frees some.)
-- @include chunks
local version, gone, ids = unpack(cmsgpack.unpack(ARGV[1]))

if tonumber(redis.call('HGET', KEYS[1], 'v') or 0) ~= version or redis.call('HEXISTS', KEYS[1], 'redo') == 1 then
  return cmsgpack.pack(false)
end
redis.call('HSET', KEYS[1], 'v', version + 1, 'gone', gone)
call_in_chunks('HDEL', KEYS[1], ids)
return cmsgpack.pack(true)
