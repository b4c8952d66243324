-- streaks: the open streaks of rooms. One streak is a field 'user\ngift' of the room's hash ':streaks' (its numbers) and
-- a field '=user\ngift' (its event's static part); its deadline is a member 'room\nuser\ngift' of the partition's ':streaks'.
--   want(room, field)
--   find(room, field)                     -> {first, count, coins, last}, or nil
--   continue(room, field, count, coins, now, window, static) -> the streak, a new one where none is open
--   finish(room, field, now)              append the end event and forget the streak
--   flush()
-- @include digits
-- @include hashes
-- @include room
local streaks = { found = {}, deadlines = {}, over = {} }
local NO_MESSAGE = cmsgpack.pack('message') .. string.char(0xc0)

local function gift_event(static, message, count, coins, repeat_count, ended, streak_id, diamonds)
  return static .. message .. cmsgpack.pack('count', count, 'coins', coins, 'repeat_count', repeat_count,
    'repeat_end', ended, 'streak_id', streak_id, 'diamonds', diamonds)
end

function streaks.key(room)
  return room.key .. ':streaks'
end

function streaks.want(room, field)
  hashes.want(streaks.key(room), field)
end

function streaks.find(room, field)
  local name = room.key .. '\n' .. field
  local streak = streaks.found[name]
  if streak == nil then
    local record = hashes.get(streaks.key(room), field)
    streak = false
    if record then
      local first, count, coins, last = cmsgpack.unpack(record)
      streak = { first = first, count = count, coins = coins, last = last }
    end
    streaks.found[name] = streak
  end
  return streak or nil
end

local function store(room, field, streak)
  hashes.put(streaks.key(room), field, cmsgpack.pack(streak.first, streak.count, streak.coins, streak.last))
end

local function schedule(room, field, deadline)
  local members = streaks.deadlines[room.base]
  if not members then
    members = {}
    streaks.deadlines[room.base] = members
  end
  members[room.id .. '\n' .. field] = deadline
end

function streaks.finish(room, field, now)
  local streak = streaks.find(room, field)
  local static = hashes.get(streaks.key(room), '=' .. field)
  local id = rooms.event_id(room, streak.first)
  rooms.append(room, gift_event(static, NO_MESSAGE, 0, 0, streak.count, true, id, 0), now, streak.first, streak.coins, 1)
  hashes.put(streaks.key(room), field, false)
  hashes.put(streaks.key(room), '=' .. field, false)
  streaks.found[room.key .. '\n' .. field] = false
  schedule(room, field, false)
end

function streaks.continue(room, field, count, coins, now, window, static)
  local streak = streaks.find(room, field)
  if streak and now - streak.last > window then
    streaks.finish(room, field, now)
    streak = nil
  end
  if not streak then
    streak = { first = room.seq + 1, count = 0, coins = 0, last = now }
    streaks.found[room.key .. '\n' .. field] = streak
    hashes.put(streaks.key(room), '=' .. field, static)
  end
  streak.count = streak.count + count
  streak.coins = streak.coins + coins
  streak.last = math.max(streak.last, now)
  store(room, field, streak)
  schedule(room, field, streak.last + window)
  return streak
end

function streaks.flush()
  for base, members in pairs(streaks.deadlines) do
    for member, deadline in pairs(members) do
      if deadline then
        redis.call('ZADD', base .. ':streaks', digits(deadline), member)
      else
        redis.call('ZREM', base .. ':streaks', member)
      end
    end
  end
  streaks.deadlines = {}
end
