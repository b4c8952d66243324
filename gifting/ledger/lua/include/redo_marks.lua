-- redo_marks: fields of a partition's totals that name the keys in which is kept what a script is about to do. They are
-- there before that is, and go after it: while one is there, nothing of the ledger is trimmed.
--   redo_marks.keep(totals, key)     redo_marks.forget(totals, key)     redo_marks.all(totals): the keys
local redo_marks = {}
local HEAD = 'redo\n\n'

function redo_marks.keep(totals, key)
  redis.call('HSET', totals, HEAD .. key, 1)
end

function redo_marks.forget(totals, key)
  redis.call('HDEL', totals, HEAD .. key)
end

function redo_marks.all(totals)
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', totals)) do
    if string.sub(field, 1, #HEAD) == HEAD then
      found[#found + 1] = string.sub(field, #HEAD + 1)
    end
  end
  return found
end
