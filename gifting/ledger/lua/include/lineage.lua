-- lineage: which history of its data a partition is in. A replica that took over, a restart and a restored copy have
-- another replication id than the data was written under; an epoch is one such history, of number at least its time.
--   lineage.read(key, now, more)   of the partition's `line`, a hash: `epoch`; `found`, the values of FIELDS fields and
--                                  then those of `more`; `args`, what is to be written of it: an epoch that begins.
--                                  Fails where the partition was never begun, or has lost its data
--   lineage.write(line)            that, or else the epoch again, so that something is written
-- @include chunks
-- @include replication
local lineage = { FIELDS = 3 }

function lineage.read(key, now, more)
  local found = call_in_chunks('HMGET', key, { 'born', 'epoch', 'lineage', unpack(more) })
  if not found[1] then
    error({ err = 'UNBORN ' .. key .. ' is not there: the partition has lost its data' }, 0)
  end
  local epoch, id = tonumber(found[2] or 0), replication_id()
  if found[3] ~= id then
    epoch = math.max(epoch + 1, now)
    return { key = key, epoch = epoch, found = found, args = { 'epoch', epoch, 'lineage', id } }
  end
  return { key = key, epoch = epoch, found = found, args = {} }
end

function lineage.write(line)
  local args = line.args
  call_in_chunks('HSET', line.key, args[1] and args or { 'epoch', line.epoch })
end
