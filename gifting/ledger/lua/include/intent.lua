-- intent: entries that a script is about to write, so that it is known later whether it came to that.
--   intent.note(e, plan)      the plan that is kept beforehand names them, and where the stream ends; e: as entries.lua
--   intent.entered(e, plan)   whether they were written
-- A script is alone, so what it enters is the next item. Without the one before nobody knows which that was: while a
-- plan is kept nothing of the stream is trimmed (redo_marks.lua).
-- @include entries
local intent = {}

function intent.note(e, plan)
  local last = redis.call('XREVRANGE', e.key, '+', '-', 'COUNT', 1)[1]
  plan.entries, plan.after = table.concat(e), last and last[1] or '0-0'
end

function intent.entered(e, plan)
  local item = redis.call('XRANGE', e.key, '(' .. plan.after, '+', 'COUNT', 1)[1]
  if item and item[2][2] == plan.entries then
    return true
  end
  if plan.after ~= '0-0' and #redis.call('XRANGE', e.key, plan.after, plan.after) == 0 then
    error({ err = 'ERR ' .. plan.after .. ' of the ledger is gone, behind which an order was entered, or was not' }, 0)
  end
  return false
end
