#!lua
-- gift_reverse: give back to who sent it what a gift cost, once for ever, unless the user's orders have changed since
-- they were read. What its host earned by it is claw_back's.
-- KEYS [1]  the user's partition, six keys as accounts.open takes them
--      [7]  four keys as redo takes them: the user's orders, and those to look at
--      [9]  the user's gifts that are reversed, and those to look at
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [user, version of the orders that was read, the gift's key, key of the reversal, room, host, coins,
--           paid coins that the user was ever issued and that were not taken back, by, record (bytes), when it is to be
--           looked at (ms)]
-- returns   msgpack [status]
-- Which of the coins were bonus coins no entry tells. Paid ones come back as far as the user has fewer than were issued
-- and not taken back: so who gives a purchase back never gets money for more than was bought. Limits, windows and what
-- was sent in all stay as they are: a gift that is taken back is not one that was never given.
-- The record is kept with what came back behind it: paid coins, bonus coins, and how many settled debt, as doubles.
-- @include status
-- @include clock
-- @include is_amount
-- @include accounts
-- @include funds
-- @include redo
local now = clock(ARGV[1])
local user, version, gift, key, room, host, coins, kept, by, record, due = unpack(cmsgpack.unpack(ARGV[2]))
local GIFT_REVERSAL = '\155\173gift_reversal' -- an array of 11 and its first field
local a = accounts.open(1)
accounts.want(a, user)
accounts.load(a)
local account = accounts.get(a, user)

local function decide()
  if redis.call('HEXISTS', KEYS[9], gift) == 1 then
    return Status.OK
  end
  if not is_amount(coins) then
    return Status.BAD_AMOUNT
  end
  if redo.pending(7) or tonumber(redis.call('HGET', KEYS[7], 'v') or 0) ~= version then
    return Status.CONFLICT
  end
  return nil
end

local function reverse()
  local was = { coins = account.coins, bonus = account.bonus, debt = account.debt, purchased = account.purchased }
  local paid = math.min(coins, math.max(kept - (account.coins - account.bonus), 0))
  local settled = funds.unspend(a, account, paid, coins - paid)
  a.entries[1] = GIFT_REVERSAL .. cmsgpack.pack(now, key, user, gift, room, host, paid, coins - paid, settled, by)
  a.entries.n = 1
  local fields = { gift, record .. struct.pack('<ddd', paid, coins - paid, settled) }
  redo.write(a, account, was, 7, { of = 2, fields = fields, place = user .. '\n' .. gift, due = due })
end

local status = decide()
if not status then
  reverse()
end
return cmsgpack.pack({ status or Status.OK })
