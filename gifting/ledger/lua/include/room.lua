-- room: a room's state while a script changes it, its event log, and what is published of it.
--   room.open(p, id)                                   the room, or nil; each once per script
--   room.refusal(r, host, user)                        why no gift may go there, or nil
--   room.event_id(r, seq)
--   room.stamp(r, now)                                 the fields that number the next event, for cmsgpack.pack
--   room.append(r, streak, weight, closes, ...)        log an event, given as two to four pieces of its wire bytes
--   room.count_spent(r, user, profile, coins)          for the ranking; `profile` is the user as wire bytes
--   room.flush(p, keep)                                write the partition's rooms, keep that many events; publish
-- The batch that is logged and published is described in wire/batch.py.
-- @include status
-- @include digits
-- @include ranking
local room = {}

function room.open(p, id)
  local r = p.rooms[id]
  if r ~= nil then
    return r or nil
  end
  local key = p.base .. ':room:' .. id
  local found = redis.call('HMGET', key, 'state', 'host', 'seq', 'coins', 'diamonds', 'likes', 'rank')
  r = found[1] and {
    id = id, key = key, state = found[1], host = found[2], seq = tonumber(found[3]), coins = tonumber(found[4]),
    diamonds = tonumber(found[5]), likes = tonumber(found[6]), rank = found[7],
    count = 0, pieces = {}, index = {}, spent = {}, users = {}, streaks = {},
  }
  p.rooms[id] = r
  return r or nil
end

function room.refusal(r, host, user)
  if not r or r.host ~= host then
    return Status.ROOM_NOT_FOUND
  end
  if r.state ~= 'live' then
    return Status.ROOM_ENDED
  end
  if user == host then
    return Status.OWN_ROOM
  end
  return nil
end

function room.event_id(r, seq)
  return string.format('%s.%.0f', r.id, seq)
end

function room.stamp(r, now)
  local seq = r.seq + 1
  return 'seq', seq, 'ts', now, 'id', room.event_id(r, seq)
end

-- The pieces are joined once per batch. To join each event would make long strings that differ in a few bytes only, and
-- Lua, which interns every string by a sample of its bytes, is slow at those.
function room.append(r, streak, weight, closes, first, second, third, fourth)
  third, fourth = third or '', fourth or ''
  local pieces, index, at = r.pieces, r.index, 4 * r.count
  pieces[at + 1], pieces[at + 2], pieces[at + 3], pieces[at + 4] = first, second, third, fourth
  index[at + 1], index[at + 2], index[at + 3], index[at + 4] =
    #first + #second + #third + #fourth, streak, weight, closes
  r.count = r.count + 1
  r.seq = r.seq + 1
end

function room.count_spent(r, user, profile, coins)
  r.spent[user] = (r.spent[user] or 0) + coins
  r.users[user] = profile
end

-- Nine fields, as wire/batch.py reads them.
local function pack_batch(r, rank)
  return '\153' .. cmsgpack.pack(r.id, r.seq, r.count, r.index, r.coins, r.diamonds, r.likes, table.concat(r.pieces),
    rank or false)
end

local function write(r, batch, keep)
  redis.call('XADD', r.key .. '/log', 'MINID', '~', math.max(r.seq - keep + 1, 0),
    digits(r.seq) .. '-' .. r.count, 'b', batch)
  redis.call('HSET', r.key, 'state', r.state, 'seq', r.seq, 'coins', r.coins, 'diamonds', r.diamonds,
    'likes', r.likes, 'rank', r.rank)
end

function room.flush(p, keep)
  local published = {}
  for _, r in pairs(p.rooms) do
    if r and r.count > 0 then
      local batch = pack_batch(r, update_ranking(r))
      write(r, batch, keep)
      published[#published + 1] = batch
    end
  end
  if #published > 0 then
    redis.call('PUBLISH', p.base .. ':events', table.concat(published))
  end
end
