-- outbox: what a partition owes to others: the gifts that were debited there, numbered without gaps for each partition
-- of hosts. What a debit call adds is one item of the stream, with a field for each partition that gets something: its
-- number, and a blob, which is what credit.lua takes: msgpack [source, seq, epochs, rooms, targets, values].
--   outbox.open(source, line)             of the partition of that number; `line`, as lineage.read has it
--   outbox.add(o, number, record, reached, targets)
--                                         a partition whose mark was seen in epoch `reached`, or later, and the targets
--                                         there; record: what `line` has of it, msgpack seq, epochs, or false
--   outbox.room(to, place, id, host)      a room there
--   outbox.owe(to, gift)                  a gift for it: its fields are gift.values behind gift.from, up to gift.to
--   outbox.number(o)                      to be called before anything is written: returns why nothing can be, or nil
--   outbox.write(o, key)                  returns the item's id, '' if there is none; and numbers and blobs
-- @include epochs
-- @include join
-- @include lineage
-- @include wire
local outbox = {}
local BLOB, PAIR = '\150', '\146' -- arrays of 6, of 2
local EPOCHS_MAX, HEAD = 64, 9 -- HEAD: so many pieces of a blob go before its gifts

local function array_head(size)
  return size < 16 and string.char(0x90 + size) or struct.pack('>BI2', 0xdc, size)
end

function outbox.open(source, line)
  return { source = source, line = line, to = {} }
end

function outbox.add(o, number, record, reached, targets)
  local seq, list = 0, {}
  if record then
    seq, list = cmsgpack.unpack(record)
  end
  local to = {
    number = number, seq = seq, epochs = epochs.since(list, reached), targets = targets, rooms = {}, n = 0,
    starts = {}, ends = {}, values = '',
  }
  o.to[#o.to + 1] = to
  return to
end

function outbox.room(to, place, id, host)
  to.rooms[place] = to.rooms[place] or PAIR .. wire[id] .. wire[host]
end

-- What follows each other is one piece: often all of a call is.
function outbox.owe(to, gift)
  local n = to.n
  if to.ends[n] ~= gift.from then
    n = n + 1
    to.n, to.starts[n], to.values = n, gift.from, gift.values
  end
  to.ends[n] = gift.to
end

local function blob_of(o, to)
  local size, pieces = 0, {
    BLOB, wire[o.source], wire[to.seq], cmsgpack.pack(to.epochs), array_head(#to.rooms), table.concat(to.rooms),
    string_head(#to.targets), to.targets, '',
  }
  for i = 1, to.n do
    local from, last = to.starts[i], to.ends[i]
    pieces[HEAD + i], size = string.sub(to.values, from + 1, last), size + last - from
  end
  pieces[HEAD] = string_head(size)
  return join(pieces, HEAD + to.n, 40)
end

-- With its first gift for a partition, an epoch begins there.
function outbox.number(o)
  local line, n = o.line, #o.line.args
  for _, to in ipairs(o.to) do
    local list = to.epochs
    if to.n > 0 then
      if epochs.last(list) ~= line.epoch then
        list[#list + 1] = { line.epoch, to.seq }
      end
      if #list > EPOCHS_MAX then
        return 'UNREACHED partition ' .. to.number .. ' in ' .. EPOCHS_MAX .. ' epochs'
      end
      to.seq = to.seq + 1
      line.args[n + 1], line.args[n + 2] = to.number, cmsgpack.pack(to.seq, list)
      n = n + 2
    end
  end
  return nil
end

-- The line goes first: a number that was given and is in no item stops that pair, one that is given twice loses a gift.
function outbox.write(o, key)
  local fields, told = {}, {}
  for _, to in ipairs(o.to) do
    if to.n > 0 then
      local blob, n = blob_of(o, to), #fields
      fields[n + 1], fields[n + 2], told[n + 1], told[n + 2] = to.number, blob, to.number, blob
    end
  end
  lineage.write(o.line)
  return #fields > 0 and redis.call('XADD', key, '*', unpack(fields)) or '', told
end
