#!lua
-- order_put: write one order of a user and what follows from it in coins, unless the user's orders have changed since
-- they were read.
-- KEYS [1]  the user's partition, six keys as accounts.open takes them
--      [7]  four keys as redo takes them: the user's orders, the partition's orders to look at, and of gifts likewise
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [user, version that was read, order's id, order, when it is to be looked at (ms; 0 is never), key,
--           paid and bonus coins to issue, paid and bonus coins to take back (below 0: to give back), bits that the
--           orders freeze the user for, paid and bonus coins that must be there, what protects the user as it was
--           read, or false where that may have changed, the order's price, currency and provider, the money that went
--           back with what is taken, and why]
-- returns   msgpack [status, coins after]
--           of all these but the user none: complete what broke off before
-- If this breaks off, what is left of it is done by whoever changes an order of the user, or reverses a gift, next
-- (redo.lua): what was entered is completed, what was not is forgotten, and said again.
-- @include status
-- @include clock
-- @include is_amount
-- @include accounts
-- @include funds
-- @include redo
local now = clock(ARGV[1])
local user, version, id, record, due, key, paid, bonus, take_paid, take_bonus, bits, least_paid, least_bonus,
  cold, price, currency, provider, amount, why = unpack(cmsgpack.unpack(ARGV[2]))
local PURCHASE, REVERSAL = '\155\168purchase', '\156\168reversal' -- arrays of 11 and 12, and their first fields
local ACCOUNT = '\151\167account' -- an array of 7
local OF_ORDERS = Frozen.WARNING + Frozen.DISPUTE
local a = accounts.open(1)
accounts.want(a, user)
accounts.load(a)
local account = accounts.get(a, user)

local function whole()
  for _, coins in ipairs({ paid, bonus, math.abs(take_paid), math.abs(take_bonus) }) do
    if coins ~= 0 and not is_amount(coins) then
      return false
    end
  end
  return true
end

local function decide()
  if not whole() then
    return Status.BAD_AMOUNT
  end
  if tonumber(redis.call('HGET', KEYS[7], 'v') or 0) ~= version then
    return Status.CONFLICT
  end
  if redo.pending(7) then
    return Status.CONFLICT
  end
  if cold and (redis.call('HGET', a.cold, user) or '') ~= cold then
    return Status.CONFLICT
  end
  if account.coins - account.bonus < least_paid or account.bonus < least_bonus then
    return Status.CONFLICT
  end
  local issued = tonumber(redis.call('HGET', a.totals, 'issued') or 0)
  if issued + paid + bonus > MAX_AMOUNT then -- no wallet has more than all have got
    return Status.WALLET_FULL
  end
  return Status.OK
end

local function enter(kind, ...)
  a.entries.n = a.entries.n + 1
  a.entries[a.entries.n] = kind .. cmsgpack.pack(now, key, user, ...)
end

local function issue()
  if paid + bonus > 0 then
    enter(PURCHASE, id, paid, bonus, funds.issue(a, account, paid, bonus), price, currency, provider)
  end
end

-- What is taken and what is given may come in one: bonus coins of one reason, paid ones of another. Of little money
-- no coin may be.
local function take_back()
  if take_paid == 0 and take_bonus == 0 and amount == 0 then
    return
  end
  local of_paid, of_bonus, debt = funds.take_back(a, account, math.max(take_paid, 0), math.max(take_bonus, 0))
  local back_paid, back_bonus = math.max(-take_paid, 0), math.max(-take_bonus, 0)
  local settled = funds.give_back(a, account, back_paid, back_bonus)
  local bonus_in = math.max(back_bonus - settled, 0)
  local paid_in = back_paid + back_bonus - settled - bonus_in
  local coins = { of_paid - paid_in, of_bonus - bonus_in, debt - settled }
  enter(REVERSAL, id, coins[1], coins[2], coins[3], amount, currency, why, take_paid)
end

local function freeze()
  local before = bit.band(account.frozen, OF_ORDERS)
  if before ~= bits then
    funds.unfreeze(a, account, OF_ORDERS)
    funds.freeze(a, account, bits)
    enter(ACCOUNT, 'frozen', bits .. '', id)
  end
end

local function write(was)
  local goal = { of = 0, fields = { 'v', version + 1, id, record }, place = user .. '\n' .. id, due = due }
  if a.entries.n == 0 then
    redo.reach(7, goal)
  else
    redo.write(a, account, was, 7, goal)
  end
end

if not version then
  if redo.pending(7) then
    redo.complete(a, user, 7)
  end
  return cmsgpack.pack({ Status.OK, account.coins })
end
local status = decide()
if status == Status.OK then
  local was = { coins = account.coins, bonus = account.bonus, debt = account.debt, purchased = account.purchased }
  issue()
  take_back()
  freeze()
  write(was)
end
return cmsgpack.pack({ status, account.coins })
