-- epochs: in which histories (lineage.lua) the gifts of one partition for another were numbered, as a list of pairs,
-- ascending: an epoch, and its base, above which numbers are of that epoch or of a later one. Numbers that an epoch has
-- lost are above the base of the next one, and given again.
--   epochs.floor(list, epoch)     the base of the first one after `epoch`, and its place; or nil
--   epochs.last(list)             the number of the last; 0: there is none
--   epochs.since(list, epoch)     the list without those before `epoch`, of which KEPT stay
local epochs = { KEPT = 4 }

function epochs.floor(list, epoch)
  for place, one in ipairs(list) do
    if one[1] > epoch then
      return one[2], place
    end
  end
  return nil
end

function epochs.last(list)
  local n = #list
  return n > 0 and list[n][1] or 0
end

function epochs.since(list, epoch)
  local _, after = epochs.floor(list, epoch)
  local first = (after or #list + 1) - epochs.KEPT
  return first > 1 and { unpack(list, first) } or list
end
