#!lua
-- move_write: write into the copy of a key whose books are moved here. Not once its partition was born: then the books
-- are open, and what a run of the move still says that was held up would undo what happened since.
-- KEYS [1]  the copy
--      [2]  the line of its partition
-- ARGV [1]  msgpack array of [a command, what goes behind its key]
-- returns   1
-- @include chunks
if redis.call('HEXISTS', KEYS[2], 'born') == 1 then
  return redis.error_reply('ARRIVED ' .. KEYS[1])
end
for _, said in ipairs(cmsgpack.unpack(ARGV[1])) do
  local command, args = unpack(said)
  if #args == 0 then
    redis.call(command, KEYS[1])
  end
  call_in_chunks(command, KEYS[1], args)
end
return 1
