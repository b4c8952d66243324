-- redo: coins of a user that an order or the reversal of a gift moves, so that what breaks off half-way is completed
-- later, and nothing is done twice.
--   redo.pending(at)                       whether something broke off
--   redo.write(a, account, was, at, goal)  write what a and the account have become, since the account was as in `was`,
--                                          and then what it was for
--   redo.reach(at, goal)                   write that alone
--   redo.complete(a, user, at)             do what is left of what broke off; if nothing was entered yet, forget it
-- Four keys from KEYS[at] on: the user's orders, those to look at; the user's reversed gifts, those to look at.
-- A goal: `of`, which of these two pairs it is in, 0 or 2; `fields` for its hash; `place` and when it is `due`.
-- The plan is kept beside the orders beforehand. Entries are what counts (intent.lua). Totals and the account are
-- written with a mark in the same call, which tells that they are; the goal is written last: once it is there, all is.
-- @include accounts
-- @include funds
-- @include intent
-- @include redo_marks
local redo = {}
local CHANGED = { 'coins', 'bonus', 'debt', 'purchased' }
local FOLLOWS = Frozen.DEBT + Frozen.WARNING + Frozen.DISPUTE
local TOTALS = { 'issued', 'spent', 'taken', 'debt' }

local function mark(user)
  return 'redo\n' .. user
end

local function planned(a, account, was, goal)
  local plan = { goal = goal, frozen = account.frozen }
  for _, name in ipairs(CHANGED) do
    plan[name] = account[name] - was[name]
  end
  for _, name in ipairs(TOTALS) do
    plan['all_' .. name] = a[name] or 0
  end
  intent.note(a.entries, plan)
  return plan
end

local function write_totals(a, user, plan)
  local args = { mark(user), 1 }
  for i, value in ipairs(redis.call('HMGET', a.totals, unpack(TOTALS))) do
    local more = plan['all_' .. TOTALS[i]] or 0
    if more ~= 0 then
      args[#args + 1], args[#args + 2] = TOTALS[i], string.format('%.0f', (value or 0) + more)
    end
  end
  redis.call('HSET', a.totals, unpack(args))
end

local function write_account(a, account)
  redis.call('HSET', a.coins.key, account.user, accounts.packed(account), mark(account.user), 1)
end

local function forget(a, user, at)
  redis.call('HDEL', a.totals, mark(user))
  redis.call('HDEL', a.coins.key, mark(user))
  redis.call('HDEL', KEYS[at], 'redo')
  redo_marks.forget(a.totals, KEYS[at])
end

-- Of gifts any record does: what is noted there later is no less.
local function is_reached(at, goal)
  local found = redis.call('HGET', KEYS[at + goal.of], goal.fields[1])
  return found and (goal.of == 2 or found == goal.fields[2] .. '')
end

local function look_no_more(at, goal)
  if goal.due == 0 then
    redis.call('ZREM', KEYS[at + goal.of + 1], goal.place)
  end
end

-- As plans of older versions had it.
local function order_of(user, plan)
  local fields = { 'v', plan.version + 1, plan.id, plan.record }
  return { of = 0, fields = fields, place = user .. '\n' .. plan.id, due = plan.due }
end

local function complete(a, user, plan)
  if redis.call('HEXISTS', a.totals, mark(user)) == 0 then
    write_totals(a, user, plan)
  end
  if redis.call('HEXISTS', a.coins.key, mark(user)) == 0 then
    local account = accounts.get(a, user)
    for _, name in ipairs(CHANGED) do
      account[name] = math.max(account[name] + plan[name], 0)
    end
    account.frozen = bit.bor(bit.band(account.frozen, bit.bnot(FOLLOWS)), bit.band(plan.frozen, FOLLOWS))
    write_account(a, account)
  end
end

function redo.pending(at)
  return redis.call('HEXISTS', KEYS[at], 'redo') == 1
end

function redo.reach(at, goal)
  if goal.due > 0 then
    redis.call('ZADD', KEYS[at + goal.of + 1], goal.due, goal.place)
  end
  redis.call('HSET', KEYS[at + goal.of], unpack(goal.fields))
  look_no_more(at, goal)
end

function redo.write(a, account, was, at, goal)
  local plan = planned(a, account, was, goal)
  redo_marks.keep(a.totals, KEYS[at])
  redis.call('HSET', KEYS[at], 'redo', cmsgpack.pack(plan))
  write_entries(a.entries)
  write_totals(a, account.user, plan)
  write_account(a, account)
  redo.reach(at, goal)
  forget(a, account.user, at)
end

function redo.complete(a, user, at)
  local plan = cmsgpack.unpack(redis.call('HGET', KEYS[at], 'redo'))
  local goal = plan.goal or order_of(user, plan)
  if is_reached(at, goal) then
    look_no_more(at, goal)
  elseif intent.entered(a.entries, plan) then
    complete(a, user, plan)
    redo.reach(at, goal)
  end
  forget(a, user, at)
end
