#!lua
-- promotion_reserve: what an order has of a promotion's budget. Everything again changes nothing.
-- KEYS [1]  the promotion: order → 'h' or 's' (held, settled) and its cost; `used`, the sum of both
--      [2]  what is held of all promotions, by when it is to be looked at (ms)
-- ARGV [1]  msgpack [promotion, order, 'hold', 'settle', 'release' or 'later', cost (coins), budget (coins, 0 for none;
--           of 'hold'), when to look at it (ms; of 'hold' and 'later')]
-- returns   status
-- What is settled stays so. A payment that comes after its hold was released is settled all the same, above the budget
-- if need be: its buyer was promised it.
-- @include status
local promotion, order, verb, cost, budget, due = unpack(cmsgpack.unpack(ARGV[1]))
local name = promotion .. '\n' .. order
local known = redis.call('HGET', KEYS[1], order)
local state = known and string.sub(known, 1, 1)

local function use(coins)
  redis.call('HINCRBY', KEYS[1], 'used', coins)
end

if verb == 'hold' and not known then
  if budget > 0 and (redis.call('HGET', KEYS[1], 'used') or 0) + cost > budget then
    return Status.PROMOTION_OVER
  end
  redis.call('HSET', KEYS[1], order, 'h' .. cost)
  use(cost)
  redis.call('ZADD', KEYS[2], due, name)
elseif verb == 'settle' and state ~= 's' then
  redis.call('HSET', KEYS[1], order, 's' .. cost)
  if not known then
    use(cost)
  end
  redis.call('ZREM', KEYS[2], name)
elseif verb == 'release' then
  if state == 'h' then
    redis.call('HDEL', KEYS[1], order)
    use(-string.sub(known, 2))
  end
  redis.call('ZREM', KEYS[2], name)
elseif verb == 'later' and state == 'h' then
  redis.call('ZADD', KEYS[2], due, name)
end
return Status.OK
