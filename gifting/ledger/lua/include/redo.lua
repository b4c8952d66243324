-- redo: the coins of an order, so that what breaks off half-way is completed later, and nothing is done twice.
--   redo.plan(a, account, was)     what a and the account have become, since the account was as in `was`
--   redo.keep(a, key, plan)        keep the plan at a key, as its field `redo`, before it is written
--   redo.write(a, account, plan)   write it
--   redo.complete(a, user, plan)   do what is left of it, or nothing, if nothing was entered yet; returns whether it
--                                  was entered
--   redo.forget(a, user, key)      once the order is written, too
-- Entries are what counts; they are found again right behind the stream's last item before them: while a plan is kept
-- nothing of the stream is trimmed (redo_marks.lua). Totals and the account are written with a mark in the same call,
-- which tells that they are.
-- @include accounts
-- @include funds
-- @include redo_marks
local redo = {}
local CHANGED = { 'coins', 'bonus', 'debt', 'purchased' }
local FOLLOWS = Frozen.DEBT + Frozen.WARNING + Frozen.DISPUTE
local TOTALS = { 'issued', 'taken', 'debt' }

local function mark(user)
  return 'redo\n' .. user
end

function redo.plan(a, account, was)
  local last = redis.call('XREVRANGE', a.entries.key, '+', '-', 'COUNT', 1)[1]
  local plan = { entries = table.concat(a.entries), after = last and last[1] or '0-0', frozen = account.frozen }
  for _, name in ipairs(CHANGED) do
    plan[name] = account[name] - was[name]
  end
  for _, name in ipairs(TOTALS) do
    plan['all_' .. name] = a[name] or 0
  end
  return plan
end

function redo.keep(a, key, plan)
  redo_marks.keep(a.totals, key)
  redis.call('HSET', key, 'redo', cmsgpack.pack(plan))
end

local function write_totals(a, user, plan)
  local args = { mark(user), 1 }
  for i, value in ipairs(redis.call('HMGET', a.totals, unpack(TOTALS))) do
    local more = plan['all_' .. TOTALS[i]]
    if more ~= 0 then
      args[#args + 1], args[#args + 2] = TOTALS[i], string.format('%.0f', (value or 0) + more)
    end
  end
  redis.call('HSET', a.totals, unpack(args))
end

local function write_account(a, account)
  redis.call('HSET', a.coins.key, account.user, accounts.packed(account), mark(account.user), 1)
end

function redo.write(a, account, plan)
  write_entries(a.entries)
  write_totals(a, account.user, plan)
  write_account(a, account)
end

-- A script is alone, so what it enters is the next item. Without the one before nobody knows which that was.
local function is_entered(a, plan)
  local item = redis.call('XRANGE', a.entries.key, '(' .. plan.after, '+', 'COUNT', 1)[1]
  if item and item[2][2] == plan.entries then
    return true
  end
  if plan.after ~= '0-0' and #redis.call('XRANGE', a.entries.key, plan.after, plan.after) == 0 then
    error({ err = 'ERR ' .. plan.after .. ' of the ledger is gone, behind which an order was entered, or was not' }, 0)
  end
  return false
end

function redo.complete(a, user, plan)
  if not is_entered(a, plan) then
    return false
  end
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
  return true
end

function redo.forget(a, user, key)
  redis.call('HDEL', a.totals, mark(user))
  redis.call('HDEL', a.coins.key, mark(user))
  redis.call('HDEL', key, 'redo')
  redo_marks.forget(a.totals, key)
end
