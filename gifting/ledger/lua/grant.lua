#!lua
-- grant: issue coins to a user, once per key.
-- KEYS [1]  the user's partition, six keys as accounts.open takes them, the index of its buckets of grants
--      [7]  the key's bucket
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [grant window ms, key lead ms, the bucket's number, user, key, key time, digest, coins, reason,
--           operator]
-- returns   msgpack [status, duplicate 0|1, coins after]
-- What is granted are bonus coins, and settles debt first.
-- @include status
-- @include clock
-- @include is_amount
-- @include accounts
-- @include funds
-- @include dedupe
local now = clock(ARGV[1])
local window, lead, number, user, key, key_time, digest, coins, reason, operator = unpack(cmsgpack.unpack(ARGV[2]))
local GRANT = '\151\165grant' -- an array of 7 and its first field
local a = accounts.open(1)
local grants = dedupe.new('grants', window, lead, 86400000)
local bucket = dedupe.bucket(grants, a, KEYS[7], number)
hash.want(bucket, key)
accounts.want(a, user)
dedupe.load(grants)
accounts.load(a)

local function decide(account, issued)
  if not is_amount(coins) then
    return Status.BAD_AMOUNT
  end
  if account.coins + coins > MAX_AMOUNT or issued + coins > MAX_AMOUNT then
    return Status.WALLET_FULL
  end
  return Status.OK
end

local function issue(account)
  funds.issue(a, account, 0, coins)
  a.entries[1], a.entries.n = GRANT .. cmsgpack.pack(now, key, user, coins, reason, operator), 1
end

-- What was issued goes before what somebody got, and the result last: what breaks off before is not acknowledged.
local function write()
  funds.flush(a)
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
local account = accounts.get(a, user)
status = status or decide(account, tonumber(redis.call('HGET', a.totals, 'issued') or 0))
if status == Status.OK then
  issue(account)
end
dedupe.keep(bucket, key, digest, cmsgpack.pack(status, account.coins))
dedupe.guard(grants, write, cmsgpack.pack(Status.OUTCOME_UNKNOWN, 0))
return cmsgpack.pack({ status, 0, account.coins })
