-- blobs: what a partition owes to another of one debit call (outbox.lua), while it is credited.
--   blobs.read(packed, park, ats)    `source`, `seq` and `epochs` as it has them; `packed`, and `at`: the offset behind
--                                    which its gifts are; `park`, that of its source; `ats`: where the keys of its
--                                    rooms begin in KEYS
--   blobs.want(c, blob)              of the credits c its gifts will be given; to be said before these are loaded
--   blobs.give(c, blob)              give them; `results` then, of each seq, repeat_count and streak, as wire bytes
--   blobs.head(size)                 what goes before an array of so many values
-- @include credit
-- @include gift
-- @include wire
local blobs = {}
local places = {} -- of rooms of the call, by their keys

local HEADS = { [0xd9] = 2, [0xda] = 3, [0xdb] = 5 } -- of wire.lua's string_head, by their first bytes; else it is one

-- The gifts are read from where they are, in order not to make a string of all of them again.
function blobs.read(packed, park_key, ats)
  local at, source, seq, list, _, targets = cmsgpack.unpack_limit(packed, 5, 1)
  return {
    packed = packed, source = source, seq = seq, epochs = list, targets = targets,
    at = at + (HEADS[string.byte(packed, at + 1)] or 1), park = park_key, ats = ats, gifts = {}, results = false,
  }
end

local function place_of(c, at)
  local key = KEYS[at]
  if not places[key] then
    credit.add_room(c, 1, at)
    places[key] = #c.rooms
  end
  return places[key]
end

-- The readers take values after the offset where they end, as those of items.lua.
local function read_target(c, blob, targets, at, place, id, host, gift, streakable, about)
  local target = new_target(#c.targets + 1, id, host, gift, streakable, about)
  credit.add_target(c, place_of(c, blob.ats[place]), target)
  targets[#targets + 1] = target
  return at
end

local function read_gift(c, blob, targets, at, place, user, key, _, _, count, coins, profile, sent, confirmed, shown)
  local gift = new_gift(targets[place], nil, user, key, count, coins, profile, sent, confirmed, shown)
  credit.want(c, gift)
  blob.gifts[#blob.gifts + 1] = gift
  return at
end

function blobs.want(c, blob)
  local at, targets, values, packed = 0, {}, blob.targets, blob.packed
  while at >= 0 and #values > 0 do
    at = read_target(c, blob, targets, cmsgpack.unpack_limit(values, 6, at))
  end
  at = blob.at
  while at >= 0 do
    at = read_gift(c, blob, targets, cmsgpack.unpack_limit(packed, 11, at))
  end
end

function blobs.head(size)
  return struct.pack('>BI2', 0xdc, size)
end

function blobs.give(c, blob)
  local results, n = { blobs.head(3 * #blob.gifts) }, 1
  for _, gift in ipairs(blob.gifts) do
    local seq, repeat_count, streak = credit.give(c, gift)
    results[n + 1], results[n + 2], results[n + 3] = wire[seq], wire[repeat_count], wire[streak]
    n = n + 3
  end
  blob.results = table.concat(results)
end
