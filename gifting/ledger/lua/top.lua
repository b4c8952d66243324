#!lua flags=no-writes
-- top: who sent the most coins in a room.
-- KEYS [1]  the room's ranking
--      [2]  its users
-- ARGV [1]  how many at most
-- returns   msgpack, as top_of gives it
-- @include top
return cmsgpack.pack(top_of(KEYS[1], KEYS[2], tonumber(ARGV[1])))
