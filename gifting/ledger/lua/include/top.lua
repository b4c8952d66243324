-- top_of(top_key, users_key, limit): [[user as wire bytes, coins], ...], most coins first.
-- @include chunks
local function top_of(top_key, users_key, limit)
  local flat = redis.call('ZREVRANGE', top_key, 0, limit - 1, 'WITHSCORES')
  local ids, ranked = {}, {}
  for i = 1, #flat, 2 do
    ids[#ids + 1] = flat[i]
  end
  local users = call_in_chunks('HMGET', users_key, ids)
  for i, id in ipairs(ids) do
    ranked[i] = { users[i] or cmsgpack.pack({ id = id }), tonumber(flat[i * 2]) }
  end
  return ranked
end
