-- viewers_of(presence_key, now, stale): how many viewers the nodes say they have, and the nodes not heard of for
-- `stale` ms.
local function viewers_of(presence_key, now, stale)
  local total, gone = 0, {}
  local flat = redis.call('HGETALL', presence_key)
  for i = 1, #flat, 2 do
    local count, at = string.match(flat[i + 1], '^(%d+) (%d+)$')
    if now - tonumber(at) > stale then
      gone[#gone + 1] = flat[i]
    else
      total = total + tonumber(count)
    end
  end
  return total, gone
end
