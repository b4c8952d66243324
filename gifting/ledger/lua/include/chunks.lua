-- call_in_chunks(command, key, args): one command over many arguments, in pieces that unpack() has room for. Returns
-- the reply, if it is an array with one value per argument. Without arguments nothing is called, and nothing returned.
local CHUNK = 1000

local function call_in_pieces(command, key, args)
  local reply = {}
  for from = 1, #args, CHUNK do
    local found = redis.call(command, key, unpack(args, from, math.min(from + CHUNK - 1, #args)))
    for i = 1, type(found) == 'table' and #found or 0 do
      reply[from + i - 1] = found[i]
    end
  end
  return reply
end

local function call_in_chunks(command, key, args)
  local n = #args
  if n > CHUNK then
    return call_in_pieces(command, key, args)
  end
  return n > 0 and redis.call(command, key, unpack(args)) or nil
end
