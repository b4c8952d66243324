-- streaks: the open streaks of rooms. One is a field 'user\ngift' of the room's hash '/streaks' (first seq, count,
-- coins, last ts), a field '=user\ngift' (its event's static part), and a member 'room\nuser\ngift' of the
-- partition's zset ':streaks', scored by its deadline.
--   streaks.read(record)                              the streak that a field of the hash holds
--   streaks.want(r, field), streaks.load(r)
--   streaks.find(r, field)                            the streak, or nil
--   streaks.continue(r, gift, now, window, stamp)     the streak, which is wanted; a new one where none is open
--   streaks.finish(r, field, stamp)                   append the end event and forget the streak
--   streaks.append(r, stamp, streak, ends, diamonds, first, second, third)
--                                                     log a gift, or an end: three pieces of its wire bytes, to which
--                                                     comes what is decided here
--   streaks.flush(p, window)
-- @include digits
-- @include chunks
-- @include room
-- @include wire
local streaks = { NOTHING_SENT = '\165count\0\165coins\0\167message\192' } -- 0, 0, nil
local COUNT, DIAMONDS = '\172repeat_count', '\168diamonds'
local ENDS, GOES_ON = '\170repeat_end\195\169streak_id', '\170repeat_end\194\169streak_id' -- true, false
local NAMES_SIZE = #COUNT + #ENDS + #DIAMONDS

function streaks.append(r, stamp, streak, ends, diamonds, first, second, third)
  local pieces, n, count, worth, number = r.pieces, r.n, wire[streak.count], wire[diamonds], digits(streak.first)
  local head = room.id_head(r, number)
  pieces[n + 1], pieces[n + 2], pieces[n + 3] = first, second, third
  pieces[n + 4], pieces[n + 5], pieces[n + 6], pieces[n + 7] = COUNT, count, ends and ENDS or GOES_ON, head
  pieces[n + 8], pieces[n + 9], pieces[n + 10] = number, DIAMONDS, worth
  local size = #first + #second + #third + NAMES_SIZE + #count + #head + #number + #worth
  room.finish(r, stamp, n + 10, size, streak.first, streak.coins, ends and 1 or 0)
end

function streaks.read(record)
  local first, count, coins, last = cmsgpack.unpack(record)
  return { first = first, count = count, coins = coins, last = last }
end

function streaks.want(r, field)
  if r.streaks[field] == nil then
    r.streaks[field] = false
    r.wanted[#r.wanted + 1] = field
  end
end

function streaks.load(r)
  local found = call_in_chunks('HMGET', r.streaks_key, r.wanted)
  for i, field in ipairs(r.wanted) do
    r.streaks[field] = found[i] and streaks.read(found[i])
  end
end

function streaks.find(r, field)
  local streak = r.streaks[field]
  if streak == nil then
    local record = redis.call('HGET', r.streaks_key, field)
    streak = record and streaks.read(record)
    r.streaks[field] = streak
  end
  return streak or nil
end

function streaks.finish(r, field, stamp)
  local streak = streaks.find(r, field)
  local static = streak.static or redis.call('HGET', r.streaks_key, '=' .. field)
  streaks.append(r, stamp, streak, true, 0, static, streaks.NOTHING_SENT, '')
  r.finished[field] = true
  r.streaks[field] = false
end

function streaks.continue(r, gift, now, window, stamp)
  local field = gift.streak
  local streak = r.streaks[field]
  if streak and now - streak.last > window then
    streaks.finish(r, field, stamp)
    streak = nil
  end
  if not streak then
    streak = { first = r.seq + 1, count = 0, coins = 0, last = now, static = gift.target.about .. gift.profile }
    r.streaks[field] = streak
  end
  streak.count = streak.count + gift.count
  streak.coins = streak.coins + gift.coins
  if now > streak.last then
    streak.last = now
  end
  streak.changed = true
  return streak
end

-- What ended goes before what goes on: the same field may do both in one batch.
local function forget_finished(p, r)
  local fields, members = {}, {}
  for field in pairs(r.finished) do
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
      fields[n + 1] = field
      fields[n + 2] = wire[streak.first] .. wire[streak.count] .. wire[streak.coins] .. wire[streak.last]
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
