#!lua flags=no-writes
-- top: who sent the most coins in a room.
-- KEYS [1]  the host's partition
-- ARGV [1]  the room
--      [2]  how many at most
-- returns   msgpack, as top_of gives it
-- @include top
return cmsgpack.pack(top_of(KEYS[1] .. ':room:' .. ARGV[1], tonumber(ARGV[2])))
