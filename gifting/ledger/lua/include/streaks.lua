-- streaks: the open streaks of rooms. One is a field 'user\ngift' of the room's hash '/streaks' (first seq, count,
-- coins, last ts), a field '=user\ngift' (its event's static part), and a member 'room\nuser\ngift' of the
-- partition's zset ':streaks', scored by its deadline.
--   streaks.read(r, record)                           the streak that a field of the hash holds
--   streaks.want(r, field), streaks.load(r)
--   streaks.find(r, field)                            the streak, or nil
--   streaks.continue(r, gift, now, window)            the streak; a new one where none is open
--   streaks.finish(r, field, now)                     append the end event and forget the streak
--   streaks.flush(p, window)
-- @include digits
-- @include chunks
-- @include room
local streaks = {}
local NOTHING_SENT = cmsgpack.pack('count', 0, 'coins', 0, 'message') .. '\192'

-- The fields of a gift event that are decided here, as wire bytes.
local function gift_fields(r, now, repeat_count, ended, streak_id, diamonds)
  return cmsgpack.pack('repeat_count', repeat_count, 'repeat_end', ended, 'streak_id', streak_id, 'diamonds', diamonds,
    room.stamp(r, now))
end

function streaks.read(r, record)
  local first, count, coins, last = cmsgpack.unpack(record)
  return { first = first, count = count, coins = coins, last = last, id = room.event_id(r, first) }
end

function streaks.want(r, field)
  r.wanted = r.wanted or {}
  r.wanted[field] = true
end

function streaks.load(r)
  local fields, found, n = {}, {}, 0
  for field in pairs(r.wanted or {}) do
    n = n + 1
    fields[n] = field
  end
  call_in_chunks('HMGET', r.streaks_key, fields, found)
  for i, field in ipairs(fields) do
    r.streaks[field] = found[i] and streaks.read(r, found[i])
  end
  r.wanted = nil
end

function streaks.find(r, field)
  local streak = r.streaks[field]
  if streak == nil then
    local record = redis.call('HGET', r.streaks_key, field)
    streak = record and streaks.read(r, record)
    r.streaks[field] = streak
  end
  return streak or nil
end

function streaks.finish(r, field, now)
  local streak = streaks.find(r, field)
  local static = streak.static or redis.call('HGET', r.streaks_key, '=' .. field)
  room.append(r, streak.first, streak.coins, 1, static, NOTHING_SENT,
    gift_fields(r, now, streak.count, true, streak.id, 0))
  r.finished = r.finished or {}
  r.finished[field] = true
  r.streaks[field] = false
end

function streaks.continue(r, gift, now, window)
  local field = gift.streak
  local streak = streaks.find(r, field)
  if streak and now - streak.last > window then
    streaks.finish(r, field, now)
    streak = nil
  end
  if not streak then
    local first = r.seq + 1
    streak = {
      first = first, count = 0, coins = 0, last = now, id = room.event_id(r, first),
      static = gift.target.about .. gift.profile,
    }
    r.streaks[field] = streak
  end
  streak.count = streak.count + gift.count
  streak.coins = streak.coins + gift.coins
  streak.last = math.max(streak.last, now)
  streak.changed = true
  return streak
end

-- What ended goes before what goes on: the same field may do both in one batch.
local function forget_finished(p, r)
  local fields, members = {}, {}
  for field in pairs(r.finished or {}) do
    fields[#fields + 1] = field
    fields[#fields + 1] = '=' .. field
    members[#members + 1] = r.id .. '\n' .. field
  end
  call_in_chunks('HDEL', r.streaks_key, fields)
  call_in_chunks('ZREM', p.streaks, members)
end

local function store_changed(p, r, window)
  local fields, deadlines, n, d = {}, {}, 0, 0
  for field, streak in pairs(r.streaks) do
    if streak and streak.changed then
      fields[n + 1], fields[n + 2] = field, cmsgpack.pack(streak.first, streak.count, streak.coins, streak.last)
      n = n + 2
      if streak.static then
        fields[n + 1], fields[n + 2] = '=' .. field, streak.static
        n = n + 2
      end
      deadlines[d + 1], deadlines[d + 2] = streak.last + window, r.id .. '\n' .. field
      d = d + 2
    end
  end
  call_in_chunks('HSET', r.streaks_key, fields)
  call_in_chunks('ZADD', p.streaks, deadlines)
end

function streaks.flush(p, window)
  for _, r in ipairs(p.rooms) do
    forget_finished(p, r)
    store_changed(p, r, window)
  end
end
