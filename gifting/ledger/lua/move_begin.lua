#!lua
-- move_begin: say which books are moved here, where none are. Again changes nothing.
-- KEYS [1]  meta
-- ARGV [1]  which these are, and a name for this place that no other has
-- returns   what was said first; '': there are books
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'arriving', ARGV[1])
end
return redis.call('HGET', KEYS[1], 'arriving') or ''
