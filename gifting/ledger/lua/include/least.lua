-- least(first, second): the smaller of two limits, of which 0 is none.
local function least(first, second)
  if first > 0 and second > 0 then
    return math.min(first, second)
  end
  return math.max(first, second)
end
