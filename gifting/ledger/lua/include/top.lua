-- top_of(top_key, users_key, limit): [[user as wire bytes, coins], ...], most coins first.
local function top_of(top_key, users_key, limit)
  local flat = redis.call('ZREVRANGE', top_key, 0, limit - 1, 'WITHSCORES')
  local ids, ranked = {}, {}
  for i = 1, #flat, 2 do
    ids[#ids + 1] = flat[i]
  end
  if #ids == 0 then
    return ranked
  end
  local users = redis.call('HMGET', users_key, unpack(ids))
  for i, user in ipairs(users) do
    ranked[i] = { user or cmsgpack.pack({ id = ids[i] }), tonumber(flat[i * 2]) }
  end
  return ranked
end
