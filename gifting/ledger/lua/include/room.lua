-- room: a room's state while a script changes it, its event log, and what is published of it.
--   room.open(p, at, id)                               the room, or nil; each once per script. Five keys from KEYS[at]
--                                                      on: its state, log, streaks, top, users
--   room.refusal(r, host, user)                        why no gift may go there, or nil
--   room.event_id(r, seq)
--   room.stamp(r, now)                                 the fields that number the next event, for cmsgpack.pack
--   room.append(r, streak, weight, closes, ...)        log an event, given as two to four pieces of its wire bytes
--   room.count(r, user, profile, coins, diamonds)      a gift, for totals and ranking; `profile`: the user, wire bytes
--   room.flush(p, keep)                                write the partition's rooms, keep that many events; publish
-- The batches that are logged and published are described in wire/batch.py. What a call does in a room is one batch, or
-- several where it is much, so that a page of the log has a bound in bytes.
-- @include status
-- @include digits
-- @include ranking
local room = { KEYS = 5 }
local BATCH_SIZE = 65536 -- bytes of events after which a batch is full: it has so many and one event more at most

function room.open(p, at, id)
  local found = redis.call('HMGET', KEYS[at], 'state', 'host', 'seq', 'coins', 'diamonds', 'likes', 'rank')
  if not found[1] then
    return nil
  end
  local r = {
    id = id, key = KEYS[at], log_key = KEYS[at + 1], streaks_key = KEYS[at + 2], top_key = KEYS[at + 3],
    users_key = KEYS[at + 4], state = found[1], host = found[2], seq = tonumber(found[3]), coins = tonumber(found[4]),
    diamonds = tonumber(found[5]), likes = tonumber(found[6]), rank = found[7],
    count = 0, size = 0, pieces = {}, index = {}, full = {}, spent = {}, users = {}, streaks = {},
  }
  p.rooms[#p.rooms + 1] = r
  return r
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

-- The events so far are a batch, and the totals as they are now are those after it.
local function close_batch(r)
  r.full[#r.full + 1] = {
    seq = r.seq, count = r.count, index = r.index, pieces = r.pieces, coins = r.coins, diamonds = r.diamonds,
    likes = r.likes,
  }
  r.count, r.size, r.pieces, r.index = 0, 0, {}, {}
end

-- The pieces are joined once per batch. To join each event would make long strings that differ in a few bytes only, and
-- Lua, which interns every string by a sample of its bytes, is slow at those.
function room.append(r, streak, weight, closes, first, second, third, fourth)
  third, fourth = third or '', fourth or ''
  local pieces, index, at = r.pieces, r.index, 4 * r.count
  pieces[at + 1], pieces[at + 2], pieces[at + 3], pieces[at + 4] = first, second, third, fourth
  local size = #first + #second + #third + #fourth
  index[at + 1], index[at + 2], index[at + 3], index[at + 4] = size, streak, weight, closes
  r.count = r.count + 1
  r.seq = r.seq + 1
  r.size = r.size + size
  if r.size >= BATCH_SIZE then
    close_batch(r)
  end
end

function room.count(r, user, profile, coins, diamonds)
  r.coins = r.coins + coins
  r.diamonds = r.diamonds + diamonds
  r.spent[user] = (r.spent[user] or 0) + coins
  r.users[user] = profile
end

-- Nine fields, as wire/batch.py reads them. Before the script's end the ranking is not known.
local function pack_batch(r, batch, rank)
  return '\153' .. cmsgpack.pack(r.id, batch.seq, batch.count, batch.index, batch.coins, batch.diamonds, batch.likes,
    table.concat(batch.pieces), rank or false)
end

local function log_batch(r, batch, packed, keep)
  redis.call('XADD', r.log_key, 'MINID', '~', math.max(batch.seq - keep + 1, 0),
    digits(batch.seq) .. '-' .. batch.count, 'b', packed)
end

local function write_room(r, keep, published)
  if r.count > 0 then
    close_batch(r)
  end
  local rank = update_ranking(r)
  redis.call('HSET', r.key, 'state', r.state, 'seq', r.seq, 'coins', r.coins, 'diamonds', r.diamonds,
    'likes', r.likes, 'rank', r.rank)
  for i, batch in ipairs(r.full) do
    local packed = pack_batch(r, batch, i == #r.full and rank)
    log_batch(r, batch, packed, keep)
    published[#published + 1] = packed
  end
  r.full = {}
end

function room.flush(p, keep)
  local published = {}
  for _, r in ipairs(p.rooms) do
    if r.count > 0 or #r.full > 0 then
      write_room(r, keep, published)
    end
  end
  if #published > 0 then
    local base = string.sub(p.streaks, 1, -#':streaks' - 1)
    redis.call('PUBLISH', base .. ':events', table.concat(published)) -- a channel is no key
  end
end
