#!lua flags=allow-oom
-- profile_erase: a room shows a user under its id alone, also as its host. What the user gives later brings a name
-- back.
-- KEYS [1]  the room
--      [2]  its users
-- ARGV [1]  the user
--      [2]  what the room shows of it: wire bytes
-- returns   0
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
if redis.call('HGET', KEYS[1], 'host') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'host_name', ARGV[1], 'title', '')
end
return 0
