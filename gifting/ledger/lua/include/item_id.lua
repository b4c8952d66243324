-- item_id.before(a, b): whether an item's id of a stream is before another's. item_id.time(id): its ms, as digits.
local item_id = {}

function item_id.time(id)
  return string.match(id, '^%d+')
end

-- As digits: they may be more than a double holds.
local function less(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

function item_id.before(a, b)
  local time, other = item_id.time(a), item_id.time(b)
  if time ~= other then
    return less(time, other)
  end
  return less(string.match(a, '%d+$'), string.match(b, '%d+$'))
end
