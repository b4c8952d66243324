-- items.read(d, c, kinds, targets, terms, values): the items of a commit call, as commit.lua says it has them, each a
-- claim of the debits d, or a post of the credits c. What they touch is wanted there then.
-- @include debit
-- @include credit
-- @include gift
-- @include terms
local items = {}
local GIFT, LIKE = 1, 3

-- The readers take the values of a target or an item after the offset where they end. No string is made of a whole
-- item: Lua interns every string, and long ones slowly.
local function read_target(c, place, at, room_place, id, host, gift, streakable, about)
  local target = new_target(place, id, host, gift, streakable, about)
  credit.add_target(c, room_place, target)
  return at, target
end

local function read_targets(c, values)
  local at, targets = 0, { nil }
  while at >= 0 and #values > 0 do
    local place = #targets + 1
    at, targets[place] = read_target(c, place, cmsgpack.unpack_limit(values, 6, at))
  end
  return targets
end

local function read_gift(d, c, targets, all_terms, at, bucket, place, terms_place, user, key, key_time, digest, count,
  coins, profile, sent, confirmed, shown)
  local on = all_terms[terms_place]
  local gift = new_gift(targets[place], on, user, key, count, coins, profile, sent, confirmed, shown)
  credit.want(c, gift)
  return at, debit.claim(d, bucket, key_time, digest, gift)
end

local function read_event(c, at, place, id, host, event, user, age, spoken)
  local post = {
    room = credit.room(c, place, id), host = host, event = event, user = user, age = age, spoken = spoken,
  }
  credit.want_post(c, post.room, post)
  return at, post
end

local function read_like(c, at, place, id, host, event, count)
  return at, { room = credit.room(c, place, id), host = host, event = event, likes = count, user = '' }
end

function items.read(d, c, kinds, targets, all_terms, values)
  local at, found = 0, { nil }
  targets, all_terms = read_targets(c, targets), terms.read(all_terms)
  for i = 1, #kinds do
    local kind = string.byte(kinds, i)
    if kind == GIFT then
      at, found[i] = read_gift(d, c, targets, all_terms, cmsgpack.unpack_limit(values, 13, at))
    elseif kind == LIKE then
      at, found[i] = read_like(c, cmsgpack.unpack_limit(values, 5, at))
    else
      at, found[i] = read_event(c, cmsgpack.unpack_limit(values, 7, at))
    end
  end
  return found
end
