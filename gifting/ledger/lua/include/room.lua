-- room: a room's state while a script changes it, its event log, and what is published of it.
--   room.open(p, at, id)                               the room, or nil; each once per script. Five keys from KEYS[at]
--                                                      on: its state, log, streaks, top, users
--   room.blank(id, seq)                                one whose events so far are `seq`, and of which nothing is known
--   room.id_head(r, number)                            the wire bytes of an event's id, but for its digits
--   room.stamp(now)                                    when events happen, as wire bytes
--   room.append(r, stamp, event, weight)               log an event, given as wire bytes; `weight` of comment_removed:
--                                                      the seq of what is removed
--   room.finish(r, stamp, n, size, streak, weight, closes)
--                                                      or as those in r.pieces from r.n + 1 to n, so many bytes
--   room.count(r, user, profile, coins, diamonds)      a gift, for totals and ranking; `profile`: the user, wire bytes
--   room.unmask(r, shown, user)                        who it was, if it was anonymous: for the server alone
--   room.flush(p, keep)                                write the partition's rooms, keep that many events, or those not
--                                                      archived; publish
-- The batches that are logged and published are described in wire/batch.py. What a call does in a room is one batch, or
-- several where it is much, so that a page of the log has a bound in bytes.
-- @include digits
-- @include join
-- @include ranking
-- @include replication
-- @include wire
local room = { KEYS = 5 }
local BATCH_HEADER, WITH_EPOCH = '\153', '\154' -- an array of 9, or of 10
local SEQ, TIME, ID = '\163seq', '\162ts', '\162id'
local TOGETHER = 4096 -- bytes of events after which no more is published with them
local BATCH_SIZE = 65536 -- bytes of events after which a batch is full: it has so many and one event more at most

-- With a place for what goes before the events and behind them, and for the pieces of a lone gift, as in entries.lua.
local function new_pieces()
  return { '', nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil }
end

function room.open(p, at, id)
  local found = redis.call('HMGET', KEYS[at], 'state', 'host', 'seq', 'coins', 'diamonds', 'likes', 'rank',
    'rules', 'lineage')
  if not found[1] then
    return nil
  end
  local r = {
    id = id, key = KEYS[at], log_key = KEYS[at + 1], streaks_key = KEYS[at + 2], top_key = KEYS[at + 3],
    users_key = KEYS[at + 4], state = found[1], host = found[2], seq = tonumber(found[3]), coins = tonumber(found[4]),
    diamonds = tonumber(found[5]), likes = tonumber(found[6]), rank = found[7],
    rules = found[8], lineage = found[9],
    count = 0, size = 0, pieces = new_pieces(), n = 1, index = { nil, nil, nil, nil }, heads = {}, full = { nil },
    spent = {}, users = {}, streaks = {}, wanted = { nil }, finished = {},
  }
  p.rooms[#p.rooms + 1] = r
  return r
end

function room.blank(id, seq)
  return { id = id, seq = seq, count = 0, size = 0, pieces = new_pieces(), n = 1, index = {}, heads = {} }
end

function room.id_head(r, number)
  local head = r.heads[#number]
  if not head then
    head = string_head(#r.id + 1 + #number) .. r.id .. '.'
    r.heads[#number] = head
  end
  return head
end

function room.stamp(now)
  return TIME .. wire[now] .. ID
end

-- The events so far are a batch, and the totals as they are now are those after it. What goes before its events has the
-- first place of its pieces.
local function close_batch(r)
  r.full[#r.full + 1] = {
    seq = r.seq, count = r.count, index = r.index, pieces = r.pieces, n = r.n, size = r.size, coins = r.coins,
    diamonds = r.diamonds, likes = r.likes,
  }
  r.count, r.size, r.pieces, r.n, r.index = 0, 0, { '' }, 1, {}
end

-- The pieces are joined once per batch: Lua interns every string that is made, and the longer the slower.
function room.append(r, stamp, event, weight)
  local n = r.n + 1
  r.pieces[n] = event
  room.finish(r, stamp, n, #event, 0, weight or 0, 0)
end

function room.finish(r, stamp, n, size, streak, weight, closes)
  local pieces, index, at, seq = r.pieces, r.index, 4 * r.count, r.seq + 1
  local bytes, number = wire[seq], digits(seq)
  local head = room.id_head(r, number)
  pieces[n + 1], pieces[n + 2], pieces[n + 3], pieces[n + 4], pieces[n + 5] = SEQ, bytes, stamp, head, number
  size = size + #SEQ + #bytes + #stamp + #head + #number
  index[at + 1], index[at + 2], index[at + 3], index[at + 4] = size, streak, weight, closes
  r.count, r.seq, r.n, r.size = r.count + 1, seq, n + 5, r.size + size
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

function room.unmask(r, shown, user)
  r.masked = r.masked or {}
  r.masked[shown] = user
end

-- On a cluster a room knows in which lineage it was last written (replication id and epoch), and of the last EPOCHS
-- epochs after which seq each began: what a failover has lost was beyond that, and whoever has seen it can tell.
local ID_SIZE, EPOCHS = 40, 16
local function epoch_of(r)
  local id, epoch = replication_id(), tonumber(string.sub(r.lineage, ID_SIZE + 1)) or 0
  if string.sub(r.lineage, 1, ID_SIZE) == id then
    return epoch
  end
  local time, first = redis.call('TIME'), r.full[1]
  epoch = math.max(epoch + 1, time[1] * 1000 + math.floor(time[2] / 1000))
  local known = cmsgpack.unpack(redis.call('HGET', r.key, 'epochs') or '\144')
  known[#known + 1] = { epoch, first.seq - first.count }
  if #known > EPOCHS then
    table.remove(known, 1)
  end
  r.lineage = id .. digits(epoch)
  redis.call('HSET', r.key, 'lineage', r.lineage, 'epochs', cmsgpack.pack(known))
  return epoch
end

-- Nine fields, as wire/batch.py reads them, and a tenth on a cluster. Before the script's end the ranking is not known.
local function pack_batch(r, batch, rank, epoch)
  local pieces = batch.pieces
  local header = epoch and WITH_EPOCH or BATCH_HEADER
  pieces[1] = header .. cmsgpack.pack(r.id, batch.seq, batch.count, batch.index, batch.coins, batch.diamonds,
    batch.likes) .. string_head(batch.size)
  pieces[batch.n + 1] = epoch and cmsgpack.pack(rank or false, epoch) or cmsgpack.pack(rank or false)
  return join(pieces, batch.n + 1, 320)
end

local WAITING = 10

-- The first seq that stays. Where an archive follows, nothing goes that it does not have, as far as WAITING times as
-- many events are waited for.
local function first_kept(r, seq, keep)
  local first = seq - keep + 1
  local archived = first > 0 and redis.call('HGET', r.key, 'archived')
  return archived and math.max(math.min(first, archived + 1), seq - WAITING * keep + 1) or math.max(first, 0)
end

local function log_batch(r, batch, packed, keep)
  redis.call('XADD', r.log_key, 'MINID', '~', first_kept(r, batch.seq, keep),
    digits(batch.seq) .. '-' .. batch.count, 'b', packed)
end

local function publish(p, batches)
  if #batches > 0 then
    local base = string.sub(p.streaks, 1, -#':streaks' - 1)
    redis.call('SPUBLISH', base .. ':events', table.concat(batches)) -- a channel is no key
  end
end

-- What is published goes together as long as it is small: to join what is large costs more than to publish it alone.
-- Returns what has not gone out yet.
local function write_room(p, r, keep, waiting)
  if r.count > 0 then
    close_batch(r)
  end
  local rank, epoch = update_ranking(r), r.lineage and epoch_of(r)
  redis.call('HSET', r.key, 'state', r.state, 'seq', r.seq, 'coins', r.coins, 'diamonds', r.diamonds,
    'likes', r.likes, 'rank', r.rank)
  for i, batch in ipairs(r.full) do
    local packed = pack_batch(r, batch, i == #r.full and rank, epoch)
    log_batch(r, batch, packed, keep)
    waiting[#waiting + 1] = packed
    waiting.size = waiting.size + batch.size
    if waiting.size >= TOGETHER then
      publish(p, waiting)
      waiting = { size = 0 }
    end
  end
  r.full = {}
  return waiting
end

function room.flush(p, keep)
  local waiting = { size = 0 }
  for _, r in ipairs(p.rooms) do
    if r.count > 0 or #r.full > 0 then
      waiting = write_room(p, r, keep, waiting)
    end
  end
  publish(p, waiting)
end
