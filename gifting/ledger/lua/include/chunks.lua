-- call_in_chunks(command, key, args, reply): one command over many arguments, in pieces that unpack() has room for.
-- Replies, which must be arrays with one value per argument, are collected in `reply` if it is given.
local CHUNK = 1000

local function call_in_chunks(command, key, args, reply)
  for from = 1, #args, CHUNK do
    local to = math.min(from + CHUNK - 1, #args)
    local found = redis.call(command, key, unpack(args, from, to))
    if reply then
      for i = 1, to - from + 1 do
        reply[from + i - 1] = found[i]
      end
    end
  end
end
