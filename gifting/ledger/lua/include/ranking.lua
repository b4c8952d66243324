-- update_ranking(r): add what a room's senders spent; the new top 3 if they are others than before, else nil. Who was
-- behind a pseudonym is kept in the field '=pseudonym' beside what is shown of it.
-- @include chunks
-- @include top
local function update_ranking(r)
  local users, args, n = {}, {}, 0
  for user in pairs(r.spent) do
    n = n + 1
    users[n] = user
  end
  if n == 0 then
    return nil
  end
  local scores = call_in_chunks('ZMSCORE', r.top_key, users)
  for i, user in ipairs(users) do
    if not scores[i] then
      redis.call('HSET', r.users_key, user, r.users[user])
      if r.masked and r.masked[user] then
        redis.call('HSET', r.users_key, '=' .. user, r.masked[user])
      end
    end
    args[2 * i - 1], args[2 * i] = tonumber(scores[i] or 0) + r.spent[user], user
  end
  call_in_chunks('ZADD', r.top_key, args)
  local rank = table.concat(redis.call('ZREVRANGE', r.top_key, 0, 2), '\n')
  if rank == r.rank then
    return nil
  end
  r.rank = rank
  return top_of(r.top_key, r.users_key, 3)
end
