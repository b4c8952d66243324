-- room: a room's state while a script changes it, its event log, and what is published of it.
--   open(base, id)                 -> the room, or nil; each room once per script
--   refusal(room, host, user)      -> why no gift may go there, or nil
--   append(room, event, now, streak, weight, closes)   close an event with seq, ts, id; number it, log it
--   flush(keep)                    write logs (the newest `keep` events stay), totals and ranks; publish
-- The batch that is logged and published is described in wire/batch.py.
-- @include status
-- @include digits
-- @include top
local rooms = { open_rooms = {}, order = {} }
local FIELDS = { 'state', 'host', 'seq', 'coins', 'diamonds', 'likes', 'rank' }

function rooms.key(base, id)
  return base .. ':room:' .. id
end

function rooms.open(base, id)
  local key = rooms.key(base, id)
  local room = rooms.open_rooms[key]
  if room ~= nil then
    return room or nil
  end
  local found = redis.call('HMGET', key, unpack(FIELDS))
  if not found[1] then
    rooms.open_rooms[key] = false
    return nil
  end
  room = {
    base = base, id = id, key = key,
    state = found[1], host = found[2], seq = tonumber(found[3]),
    coins = tonumber(found[4]), diamonds = tonumber(found[5]), likes = tonumber(found[6]), rank = found[7],
    events = {}, index = {}, spent = {}, users = {},
  }
  rooms.open_rooms[key] = room
  rooms.order[#rooms.order + 1] = room
  return room
end

function rooms.refusal(room, host, user)
  if not room or room.host ~= host then
    return Status.ROOM_NOT_FOUND
  end
  if room.state ~= 'live' then
    return Status.ROOM_ENDED
  end
  if user == host then
    return Status.OWN_ROOM
  end
  return nil
end

function rooms.event_id(room, seq)
  return room.id .. '.' .. digits(seq)
end

function rooms.append(room, event, now, streak, weight, closes)
  local seq = room.seq + 1
  room.seq = seq
  event = event .. cmsgpack.pack('seq', seq, 'ts', now, 'id', rooms.event_id(room, seq))
  room.events[#room.events + 1] = event
  local index, n = room.index, #room.index
  index[n + 1], index[n + 2], index[n + 3], index[n + 4] = #event, streak, weight, closes
end

-- The sender's coins count for the room's ranking; `profile` is the user as wire bytes.
function rooms.count_spent(room, user, profile, coins)
  room.spent[user] = (room.spent[user] or 0) + coins
  room.users[user] = profile
end

local function write_ranking(room)
  if next(room.spent) == nil then
    return nil
  end
  for user, coins in pairs(room.spent) do
    local score = redis.call('ZINCRBY', room.key .. ':top', digits(coins), user)
    if tonumber(score) == coins then
      redis.call('HSET', room.key .. ':users', user, room.users[user])
    end
  end
  local ids = table.concat(redis.call('ZREVRANGE', room.key .. ':top', 0, 2), '\n')
  if ids == room.rank then
    return nil
  end
  room.rank = ids
  return top_of(room.key, 3)
end

local function write_log(room, batch, keep)
  local id = digits(room.seq) .. '-' .. #room.events
  local oldest = digits(math.max(room.seq - keep + 1, 0))
  redis.call('XADD', room.key .. ':log', 'MINID', '~', oldest, id, 'b', batch)
end

function rooms.flush(keep)
  local published = {}
  for _, room in ipairs(rooms.order) do
    if #room.events > 0 then
      local rank = write_ranking(room)
      local batch = cmsgpack.pack({
        room.id, room.seq, #room.events, room.index, room.coins, room.diamonds, room.likes,
        table.concat(room.events), rank or false,
      })
      write_log(room, batch, keep)
      redis.call('HSET', room.key, 'state', room.state, 'seq', digits(room.seq), 'coins', digits(room.coins),
        'diamonds', digits(room.diamonds), 'likes', digits(room.likes), 'rank', room.rank or '')
      published[room.base] = (published[room.base] or '') .. batch
    end
  end
  for base, batches in pairs(published) do
    redis.call('PUBLISH', base .. ':events', batches)
  end
end
