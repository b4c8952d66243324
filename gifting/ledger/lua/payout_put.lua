#!lua
-- payout_put: write one payout of a host and what follows from it in diamonds, unless the host's payouts have changed
-- since they were read, or more would be paid out than is available now.
-- KEYS [1]  the host's partition: ledger
--      [2]  its diamonds
--      [3]  its totals, in which is marked what may have broken off
--      [4]  the host's payouts
--      [5]  the partition's payouts to look at
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [host, version that was read, payout's id, payout, when to look at it (ms; 0 is never), key,
--           milli-diamonds that leave (below 0: come back), amount, currency, provider, days of the hold, days of the
--           reserve, the reserve's basis points]
-- returns   msgpack [status, milli-diamonds that were available]
--           of all these but the host none: complete what broke off before
-- If this breaks off, what is left of it is done by whoever changes a payout of the host next: what was entered is
-- completed, with a mark beside the balance that is written in the same call; what was not is forgotten.
-- @include status
-- @include clock
-- @include is_amount
-- @include entries
-- @include intent
-- @include available
-- @include redo_marks
local now = clock(ARGV[1])
local host, version, id, record, due, key, diamonds, amount, currency, provider, hold, reserve, bps =
  unpack(cmsgpack.unpack(ARGV[2]))
local PAYOUT = '\153\166payout' -- an array of 9 and its first field
local DAY = 86400000
local DIAMONDS, MARK = KEYS[2], 'redo\npayout\n' .. host
local e = new_entries(KEYS[1])

local function number(hash, field)
  return tonumber(redis.call('HGET', hash, field) or 0)
end

local function left()
  return available(DIAMONDS, host, number(DIAMONDS, host), math.floor(now / DAY), hold, reserve, bps)
end

local function is_changed()
  return number(KEYS[4], 'v') ~= version or redis.call('HEXISTS', KEYS[4], 'redo') == 1
end

local function decide()
  if diamonds ~= 0 and not (is_amount(math.abs(diamonds)) and is_amount(math.abs(amount))) then
    return Status.BAD_AMOUNT, 0
  end
  if is_changed() then
    return Status.CONFLICT, 0
  end
  local most = diamonds > 0 and left() or 0
  return diamonds > most and Status.NOT_ENOUGH_DIAMONDS or Status.OK, most
end

local function write_balance(change)
  redis.call('HSET', DIAMONDS, host, digits(math.max(number(DIAMONDS, host) - change, 0)), MARK, 1)
end

local function write_payout(plan)
  local place = host .. '\n' .. plan.id
  if plan.due > 0 then
    redis.call('ZADD', KEYS[5], digits(plan.due), place)
  end
  redis.call('HSET', KEYS[4], 'v', plan.version + 1, plan.id, plan.record)
  if plan.due == 0 then
    redis.call('ZREM', KEYS[5], place)
  end
end

local function forget()
  redis.call('HDEL', DIAMONDS, MARK)
  redis.call('HDEL', KEYS[4], 'redo')
  redo_marks.forget(KEYS[3], KEYS[4])
end

-- The payout is written last, so once it is there the rest is.
local function complete()
  local plan = cmsgpack.unpack(redis.call('HGET', KEYS[4], 'redo'))
  local written = number(KEYS[4], 'v') > plan.version
  if not written and intent.entered(e, plan) then
    if redis.call('HEXISTS', DIAMONDS, MARK) == 0 then
      write_balance(plan.diamonds)
    end
    write_payout(plan)
  end
  forget()
end

local function write()
  local plan = { version = version, id = id, record = record, due = due, diamonds = diamonds }
  if diamonds == 0 then
    write_payout(plan)
    return
  end
  e[1], e.n = PAYOUT .. cmsgpack.pack(now, key, host, id, diamonds, amount, currency, provider), 1
  intent.note(e, plan)
  redo_marks.keep(KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[4], 'redo', cmsgpack.pack(plan))
  write_entries(e)
  write_balance(diamonds)
  write_payout(plan)
  forget()
end

if not version then
  if redis.call('HEXISTS', KEYS[4], 'redo') == 1 then
    complete()
  end
  return cmsgpack.pack({ Status.OK, 0 })
end
local status, most = decide()
if status == Status.OK then
  write()
end
return cmsgpack.pack({ status, most })
