#!lua
-- report_close: forget a report that is settled. Doing it again changes nothing.
-- KEYS [1]  the reports
--      [2]  their ids, by when they came
--      [3]  how many of each user are open
-- ARGV [1]  the report's id
--      [2]  who made it
-- returns   1 if it was open, else 0
local open = redis.call('ZREM', KEYS[2], ARGV[1])
if open == 1 then
  redis.call('HDEL', KEYS[1], ARGV[1])
  if redis.call('HINCRBY', KEYS[3], ARGV[2], -1) <= 0 then
    redis.call('HDEL', KEYS[3], ARGV[2])
  end
end
return open
