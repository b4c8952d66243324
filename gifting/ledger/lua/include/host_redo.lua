-- host_redo: what a payout, the reversal of a gift or an operator changes of a host, so that what breaks off half-way
-- is completed by whoever changes something of that host next, and nothing is done twice.
--   host_redo.open(host)             KEYS begin with: ledger, diamonds and totals of the host's partition; the host's
--                                    payouts, and the partition's to look at; what was clawed back of the host; the
--                                    partition's creators
--   host_redo.complete(h, tell)      do what is left of what broke off; if nothing was entered yet, forget it
--   host_redo.write(h, plan, tell)   write `h.e`, the plan's entries, what changes of the diamonds, and what it was for
--   host_redo.reach(goal)            write that alone
-- A plan: `key`, that of its entry; `changes`, of fields of the diamonds, and `sets`, what others become; its `goal`:
-- `at`, which of KEYS, and `fields`; of a payout also its `place` and when it is `due`. What else it has is for
-- tell(plan), which is called before the goal is reached and may have told it before.
-- The plan is kept with the payouts beforehand. Entries are what counts (intent.lua). Diamonds are written with the
-- plan's key as a mark in the same call, which tells that they are.
-- @include digits
-- @include entries
-- @include intent
-- @include redo_marks
local host_redo = {}
local DIAMONDS, TOTALS, PLANS, TO_LOOK_AT = 2, 3, 4, 5

function host_redo.open(host)
  return { mark = 'redo\n' .. host, e = new_entries(KEYS[1]) }
end

local function write_diamonds(h, plan)
  local args, names = { h.mark, plan.key }, {}
  for name, change in pairs(plan.changes or {}) do
    names[#names + 1] = change ~= 0 and name or nil
  end
  local found = #names > 0 and redis.call('HMGET', KEYS[DIAMONDS], unpack(names)) or {}
  for i, value in ipairs(found) do
    args[#args + 1], args[#args + 2] = names[i], digits(math.max((value or 0) + plan.changes[names[i]], 0))
  end
  for name, value in pairs(plan.sets or {}) do
    args[#args + 1], args[#args + 2] = name, value
  end
  redis.call('HSET', KEYS[DIAMONDS], unpack(args))
end

function host_redo.reach(goal)
  if goal.due and goal.due > 0 then
    redis.call('ZADD', KEYS[TO_LOOK_AT], digits(goal.due), goal.place)
  end
  redis.call('HSET', KEYS[goal.at], unpack(goal.fields))
  if goal.due == 0 then
    redis.call('ZREM', KEYS[TO_LOOK_AT], goal.place)
  end
end

-- The mark goes last: it is of this plan only.
local function forget(h)
  redis.call('HDEL', KEYS[PLANS], 'redo')
  redo_marks.forget(KEYS[TOTALS], KEYS[PLANS])
  redis.call('HDEL', KEYS[DIAMONDS], h.mark)
end

local function finish(h, plan, tell)
  if tell then
    tell(plan)
  end
  if plan.goal then
    host_redo.reach(plan.goal)
  end
  forget(h)
end

function host_redo.write(h, plan, tell)
  intent.note(h.e, plan)
  redo_marks.keep(KEYS[TOTALS], KEYS[PLANS])
  redis.call('HSET', KEYS[PLANS], 'redo', cmsgpack.pack(plan))
  write_entries(h.e)
  write_diamonds(h, plan)
  finish(h, plan, tell)
end

function host_redo.complete(h, tell)
  local kept = redis.call('HGET', KEYS[PLANS], 'redo')
  local plan = kept and cmsgpack.unpack(kept)
  if plan and intent.entered(h.e, plan) then
    if redis.call('HGET', KEYS[DIAMONDS], h.mark) ~= plan.key then
      write_diamonds(h, plan)
    end
    finish(h, plan, tell)
  elseif plan then
    forget(h)
  end
end
