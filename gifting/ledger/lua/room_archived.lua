#!lua flags=allow-oom
-- room_archived: note up to which seq a room's log is in the archive, durably. The mark only ever rises.
-- KEYS [1]  the room
--      [2]  its log
--      [3]  what is removed of its log
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
local wait = tonumber(redis.call('HGET', KEYS[1], 'wait') or 0)
if wait > 0 and asked >= tonumber(redis.call('HGET', KEYS[1], 'seq')) then
  redis.call('HDEL', KEYS[1], 'wait')
  for _, key in ipairs({ KEYS[2], KEYS[3] }) do
    redis.call('PEXPIRE', key, math.max(redis.call('PTTL', key) - wait, 1))
  end
end
return asked
