#!lua
-- grant: issue coins to a user, once per key.
-- KEYS [1]  the user's partition
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [grant window ms, key lead ms, user, key, key time, digest, coins, reason, operator]
-- returns   msgpack [status, duplicate 0|1, coins after]
-- @include status
-- @include clock
-- @include amount
-- @include hashes
-- @include entries
-- @include dedupe
local now = clock(ARGV[1])
local window, lead, user, key, key_time, digest, coins, reason, operator = unpack(cmsgpack.unpack(ARGV[2]))
local base = KEYS[1]
local keys = Dedupe.new('grants', window, lead, 86400000)

local function decide(balance, issued)
  if not is_amount(coins) then
    return Status.BAD_AMOUNT
  end
  if not is_amount(balance + coins) or not is_amount(issued + coins) then
    return Status.WALLET_FULL
  end
  return Status.OK
end

local function issue(balance, issued)
  hashes.put(base .. ':coins', user, balance + coins)
  hashes.put(base .. ':totals', 'issued', issued + coins)
  entries.add(base, 'grant', now, key, user, coins, reason, operator)
  return balance + coins
end

local status, stored = keys:check(base, key, key_time, digest, now)
if stored then
  local kept, after = cmsgpack.unpack(stored)
  return cmsgpack.pack({ kept, 1, after })
end
if status then
  return cmsgpack.pack({ status, 0, 0 })
end
local balance = tonumber(hashes.get(base .. ':coins', user) or 0)
local issued = tonumber(hashes.get(base .. ':totals', 'issued') or 0)
status = decide(balance, issued)
if status == Status.OK then
  balance = issue(balance, issued)
end
keys:keep(base, key, key_time, digest, cmsgpack.pack(status, balance), now)
hashes.flush()
keys:flush()
entries.flush()
return cmsgpack.pack({ status, 0, balance })
