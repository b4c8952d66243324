#!lua
-- grant: issue coins to a user, once per key.
-- KEYS [1]  the user's partition, five keys as accounts.open takes them, the index of its buckets of grants
--      [6]  the key's bucket
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [grant window ms, key lead ms, the bucket's number, user, key, key time, digest, coins, reason,
--           operator]
-- returns   msgpack [status, duplicate 0|1, coins after]
-- @include status
-- @include clock
-- @include amount
-- @include accounts
-- @include dedupe
local now = clock(ARGV[1])
local window, lead, number, user, key, key_time, digest, coins, reason, operator = unpack(cmsgpack.unpack(ARGV[2]))
local GRANT = '\151\165grant' -- an array of 7 and its first field
local a = accounts.open(1)
local grants = dedupe.new('grants', window, lead, 86400000)
local bucket = dedupe.bucket(grants, a, KEYS[6], number)
hash.want(bucket, key)
hash.want(a.coins, user)
dedupe.load(grants)
hash.load(a.coins)

local function decide(balance, issued)
  if not is_amount(coins) then
    return Status.BAD_AMOUNT
  end
  if balance + coins > MAX_AMOUNT or issued + coins > MAX_AMOUNT then
    return Status.WALLET_FULL
  end
  return Status.OK
end

local function issue(balance)
  hash.put(a.coins, user, balance + coins)
  a.entries[1], a.entries.n = GRANT .. cmsgpack.pack(now, key, user, coins, reason, operator), 1
  return balance + coins
end

-- What was issued goes before what somebody got, and the result last: what breaks off before is not acknowledged.
local function write()
  if a.entries.n > 0 then
    accounts.add_total(a, 'issued', coins)
  end
  write_entries(a.entries)
  hash.flush(a.coins)
  dedupe.flush(grants)
end

local status, stored, keep = dedupe.check(grants, bucket, key, key_time, digest, now)
if stored then
  local kept, after = cmsgpack.unpack(stored)
  return cmsgpack.pack({ kept, 1, after })
end
if status and not keep then
  return cmsgpack.pack({ status, 0, 0 })
end
local balance = accounts.balance(a, user)
status = status or decide(balance, tonumber(redis.call('HGET', a.totals, 'issued') or 0))
if status == Status.OK then
  balance = issue(balance)
end
dedupe.keep(bucket, key, digest, cmsgpack.pack(status, balance))
dedupe.guard(grants, write, cmsgpack.pack(Status.OUTCOME_UNKNOWN, 0))
return cmsgpack.pack({ status, 0, balance })
