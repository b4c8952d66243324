-- redo: the coins of an order, so that what breaks off half-way is completed later, and nothing is done twice.
--   redo.plan(a, account, was)     what a and the account have become, since the account was as in `was`
--   redo.write(a, account, plan)   write it
--   redo.complete(a, user, plan)   do what is left of it, or nothing, if nothing was entered yet; returns whether it
--                                  was entered
--   redo.forget(a, user)           once the order is written, too
-- The plan is kept beforehand, by the caller. Entries are what counts; they are found again right behind the stream's
-- last item before them. Totals and the account are written with a mark in the same call, which tells that they are.
-- @include accounts
-- @include funds
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

-- A script is alone, so what it enters is the next item.
local function is_entered(a, plan)
  local item = redis.call('XRANGE', a.entries.key, '(' .. plan.after, '+', 'COUNT', 1)[1]
  return item ~= nil and item[2][2] == plan.entries
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

function redo.forget(a, user)
  redis.call('HDEL', a.totals, mark(user))
  redis.call('HDEL', a.coins.key, mark(user))
end
