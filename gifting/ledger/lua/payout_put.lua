#!lua
-- payout_put: write one payout of a host and what follows from it in diamonds, unless the host's payouts have changed
-- since they were read, or more would be paid out than is available now.
-- KEYS [1]  seven keys as host_redo takes them
--      [2]  of these, the diamonds of the host's partition
--      [4]  of these, the host's payouts
--      [8]  the floors of the host's partition
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [host, version that was read, payout's id, payout, when to look at it (ms; 0 is never), key,
--           milli-diamonds that leave (below 0: come back), amount, currency, provider, days of the hold, days of the
--           reserve, the reserve's basis points, days for which it is kept what was earned]
-- returns   msgpack [status, milli-diamonds that were available]
--           of all these but the host none: complete what broke off before
-- If this breaks off, what is left of it is done by whoever changes something of the host next (host_redo.lua).
-- @include status
-- @include clock
-- @include is_amount
-- @include available
-- @include host_redo
local now = clock(ARGV[1])
local host, version, id, record, due, key, diamonds, amount, currency, provider, hold, reserve, bps, kept =
  unpack(cmsgpack.unpack(ARGV[2]))
local PAYOUT = '\153\166payout' -- an array of 9 and its first field
local DAY = 86400000
local h = host_redo.open(host)

-- Not later than the clock is believed (days.py).
local function today()
  local floor = tonumber(redis.call('HGET', KEYS[8], 'days'))
  local told = math.floor(now / DAY)
  return floor and math.min(told, floor + kept - 1) or told
end

local function left()
  local has = tonumber(redis.call('HGET', KEYS[2], host) or 0)
  return available(KEYS[2], host, has, today(), hold, reserve, bps)
end

local function decide()
  if diamonds ~= 0 and not (is_amount(math.abs(diamonds)) and is_amount(math.abs(amount))) then
    return Status.BAD_AMOUNT, 0
  end
  if tonumber(redis.call('HGET', KEYS[4], 'v') or 0) ~= version then
    return Status.CONFLICT, 0
  end
  local most = diamonds > 0 and left() or 0
  return diamonds > most and Status.NOT_ENOUGH_DIAMONDS or Status.OK, most
end

local function write()
  local goal = { at = 4, fields = { 'v', version + 1, id, record }, place = host .. '\n' .. id, due = due }
  if diamonds == 0 then
    host_redo.reach(goal)
    return
  end
  h.e[1], h.e.n = PAYOUT .. cmsgpack.pack(now, key, host, id, diamonds, amount, currency, provider), 1
  host_redo.write(h, { key = key, changes = { [host] = -diamonds }, goal = goal })
end

host_redo.complete(h)
if not version then
  return cmsgpack.pack({ Status.OK, 0 })
end
local status, most = decide()
if status == Status.OK then
  write()
end
return cmsgpack.pack({ status, most })
