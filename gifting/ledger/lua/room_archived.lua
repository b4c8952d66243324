#!lua flags=allow-oom
-- room_archived: note up to which seq a room's log is in the archive, durably. The mark only ever rises.
-- KEYS [1]  the room
-- ARGV [1]  the seq
-- returns   the mark as it is now; 0 where there is no such room
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local known = tonumber(redis.call('HGET', KEYS[1], 'archived') or 0)
local asked = tonumber(ARGV[1])
if asked <= known then
  return known
end
redis.call('HSET', KEYS[1], 'archived', ARGV[1])
return asked
