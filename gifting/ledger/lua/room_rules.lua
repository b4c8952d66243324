#!lua
-- room_rules: change a room's rules. They hold for what is decided after this call.
-- KEYS [1]  the room
--      [2]  its host's people
-- ARGV [1]  msgpack [host, who changes it as a moderator ('': who always may), the rules as decided.lua has them, nil
--           for what stays]
-- returns   msgpack [status, the rules likewise]; or nil: that is no moderator
-- @include status
-- @include decided
local host, by, changed = unpack(cmsgpack.unpack(ARGV[1]))
local found = redis.call('HMGET', KEYS[1], 'state', 'host', 'rules')

if not found[1] or found[2] ~= host then
  return cmsgpack.pack({ Status.ROOM_NOT_FOUND })
elseif by ~= '' and not decided.person(redis.call('HGET', KEYS[2], by)).moderator then
  return cmsgpack.pack(nil)
elseif found[1] ~= 'live' then
  return cmsgpack.pack({ Status.ROOM_ENDED })
end
local rules = found[3] and cmsgpack.unpack(found[3]) or { 1, 0, 0, 0, '' }
for i = 1, 5 do
  rules[i] = changed[i] or rules[i]
end
redis.call('HSET', KEYS[1], 'rules', cmsgpack.pack(rules))
return cmsgpack.pack({ Status.OK, unpack(rules) })
