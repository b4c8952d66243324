-- marks: up to which number the gifts of each other partition are credited, and what came before its turn. A field of
-- the hash is the number of the source; its value msgpack seq, epochs of the blob that was applied last (epochs.lua),
-- numbers that are parked.
--   marks.read(key, sources)          their marks, by their numbers
--   marks.judge(mark, blob)           APPLIED, which raises the mark, BEFORE, PARKED, EARLY or GONE. What turns out to
--                                     have been credited, and then lost by its source, is added to mark.fenced: first
--                                     and last number, the epoch that had them, and that which has lost them
--   marks.write(key, all)
-- blob: `seq`, `epochs`. A source that was rolled back gives the same numbers again, in a later epoch.
-- @include chunks
-- @include epochs
local marks = { APPLIED = 0, BEFORE = 1, PARKED = 2, EARLY = 3, GONE = 4 }
local AHEAD = 64

function marks.read(key, sources)
  local found, all = call_in_chunks('HMGET', key, sources), {}
  for i, source in ipairs(sources) do
    local mark = { source = source, seq = 0, epochs = {}, parked = {}, fenced = {} }
    if found[i] then
      mark.seq, mark.epochs, mark.parked = cmsgpack.unpack(found[i])
    end
    all[source] = mark
  end
  return all
end

-- The mark enters the epoch after its own that the blob knows of, if it has all that was numbered before that. What is
-- above the base of that epoch was credited, and then lost with its debit.
local function enter_epoch(mark, blob)
  local floor, place = epochs.floor(blob.epochs, epochs.last(mark.epochs))
  if not floor or mark.seq < floor then
    return
  end
  if mark.seq > floor then
    mark.fenced[#mark.fenced + 1] = { floor + 1, mark.seq, epochs.last(mark.epochs), blob.epochs[place][1] }
  end
  mark.seq, mark.epochs = floor, { unpack(blob.epochs, 1, place) }
end

local function is_gone(mark, blob)
  local base = epochs.floor(mark.epochs, epochs.last(blob.epochs))
  return base and blob.seq > base
end

function marks.judge(mark, blob)
  enter_epoch(mark, blob)
  local seq = blob.seq
  if is_gone(mark, blob) then
    return marks.GONE
  elseif seq <= mark.seq then
    return marks.BEFORE
  elseif seq == mark.seq + 1 then
    mark.seq, mark.epochs = seq, blob.epochs
    return marks.APPLIED
  end
  return seq <= mark.seq + AHEAD and marks.PARKED or marks.EARLY
end

function marks.write(key, all)
  local args, n = {}, 0
  for source, mark in pairs(all) do
    args[n + 1], args[n + 2] = source, cmsgpack.pack(mark.seq, mark.epochs, mark.parked)
    n = n + 2
  end
  call_in_chunks('HSET', key, args)
end
