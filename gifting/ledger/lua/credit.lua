#!lua
-- credit: of gifts that debit.lua has taken the half that is in their rooms' partition. Each once, in order of its
-- source, and none is refused.
-- KEYS [1+] the partition of the hosts, four keys as credit.add_room takes them
--      [5]  its line, of which born, epoch and lineage are looked at
--      [6]  its marks: per source what marks.lua says
--      [7]  what was credited and then lost by its source: a stream of source, first and last number, the epoch that
--           had them, the epoch that lost them, and when (ms)
--      [8+] of each room five keys, as room.open takes them, and of each source its park
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [streak window ms, rate numerator, rate denominator, log keep, commission of hosts who have none of
--           their own, in basis points]
--      [3]  msgpack array, for each of the blobs (outbox.lua) that are behind it: where the park of its source is in
--           KEYS, and where its rooms' keys begin
-- returns   msgpack [of each blob [how, epoch, seq, results], of what was parked and is applied now [source, seq,
--           results]]; how: 0 applied, 1 it was before, 2 parked, 3 too early, 4 its source has lost it; epoch and seq:
--           the mark of its source now; results: of each gift seq, repeat_count and streak, one after another, or nil:
--           not known
-- What breaks off leaves gifts that are never credited, not such as are credited twice. It always writes something, so
-- that WAIT behind it speaks of this call.
-- @include clock
-- @include blobs
-- @include credit
-- @include lineage
-- @include marks
-- @include park
local now = clock(ARGV[1])
local streak_window, rate_numerator, rate_denominator, log_keep, commission = unpack(cmsgpack.unpack(ARGV[2]))
local LINE, MARKS, FENCED, BLOBS = 5, 6, 7, 4
local credits = credit.new(now, streak_window, rate_numerator, rate_denominator, log_keep, commission)
credits.houses = false
local applied, late = {}, {}

local function read_blobs()
  local all, sources, seen = {}, {}, {}
  for i, places in ipairs(cmsgpack.unpack(ARGV[3])) do
    local blob = blobs.read(ARGV[BLOBS + i - 1], KEYS[places[1]], { unpack(places, 2) })
    all[i] = blob
    if not seen[blob.source] then
      seen[blob.source], sources[#sources + 1] = true, blob.source
    end
  end
  return all, marks.read(KEYS[MARKS], sources)
end

local function keys_of(blob)
  local names = {}
  for _, at in ipairs(blob.ats) do
    for key = at, at + room.KEYS - 1 do
      names[#names + 1] = KEYS[key]
    end
  end
  return names
end

-- Its rooms are in no KEYS but those with which it came, so these are kept with it.
local function read_parked(park_key, packed, ...)
  local ats, names = {}, { ... }
  for i = 1, #names, room.KEYS do
    ats[#ats + 1] = #KEYS + 1
    for each = i, i + room.KEYS - 1 do
      KEYS[#KEYS + 1] = names[each]
    end
  end
  return blobs.read(packed, park_key, ats)
end

local function find_parked(blob, mark)
  local found = { park.find(blob.park, mark, mark.seq + 1) }
  return found[1] and read_parked(blob.park, unpack(found))
end

-- What is parked behind a blob that is applied.
local function follow(blob, mark)
  local parked = find_parked(blob, mark)
  while parked do
    local how = marks.judge(mark, parked)
    if how == marks.PARKED then
      return
    end
    park.drop(blob.park, mark, parked.seq)
    if how == marks.APPLIED then
      applied[#applied + 1], late[#late + 1] = parked, parked
    end
    parked = find_parked(blob, mark)
  end
end

-- Of two that came early the later epoch's holds.
local function put(blob, mark)
  local was = park.find(blob.park, mark, blob.seq)
  if not was or epochs.last(cmsgpack.unpack(was)[3]) < epochs.last(blob.epochs) then
    park.put(blob.park, mark, blob, keys_of(blob))
  end
end

local function take(blob, mark)
  blob.how = marks.judge(mark, blob)
  if blob.how == marks.APPLIED then
    applied[#applied + 1] = blob
    follow(blob, mark)
  elseif blob.how == marks.PARKED then
    put(blob, mark)
  end
end

local function fence(source, first, last, had, lost)
  redis.call('XADD', KEYS[FENCED], '*', 'source', source, 'from', digits(first), 'to', digits(last), 'had', digits(had),
    'lost', digits(lost), 'at', digits(now))
end

local function write(line, all)
  for source, mark in pairs(all) do
    for _, lost in ipairs(mark.fenced) do
      fence(source, unpack(lost))
    end
  end
  if line.args[1] or not next(all) then
    lineage.write(line)
  end
  marks.write(KEYS[MARKS], all)
  credit.flush(credits)
  for _, blob in ipairs(late) do
    park.keep(blob.park, blob)
  end
end

local NIL = '\192'

local function told(blob, mark)
  local results = blob.results
  if blob.how == marks.BEFORE then
    results = park.results(blob.park, blob)
  end
  return '\148' .. wire[blob.how] .. wire[epochs.last(mark.epochs)] .. wire[mark.seq] .. (results or NIL)
end

local line = lineage.read(KEYS[LINE], now, {})
local given, all = read_blobs()
for _, blob in ipairs(given) do
  take(blob, all[blob.source])
end
for _, blob in ipairs(applied) do
  blobs.want(credits, blob)
end
credit.load(credits)
for _, blob in ipairs(applied) do
  blobs.give(credits, blob)
end
write(line, all)
local pieces, also = { '\146', blobs.head(#given) }, { blobs.head(#late) }
for _, blob in ipairs(given) do
  pieces[#pieces + 1] = told(blob, all[blob.source])
end
for _, blob in ipairs(late) do
  also[#also + 1] = '\147' .. wire[blob.source] .. wire[blob.seq] .. blob.results
end
return table.concat(pieces) .. table.concat(also)
