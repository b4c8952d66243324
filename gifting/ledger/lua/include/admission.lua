-- admission: whether a room takes a gift, asked before the debit.
--   admission.room(r, host)        why nothing may go there, or nil
--   admission.closed(c, gift)      why the room takes no such gift from this user: a status and what ends it, or nil
--   admission.full(c, gift)        why what it would add is too much: a status, or nil
-- c: `now`, and `targets`, by their numbers: `room`, as house.open leaves it; `closed`, what admission.room said of it;
-- `purse`, the host's as earnings.purse has it, of which `diamonds`, `rate` and `carry` are asked.
-- @include status
-- @include amount
-- @include share
-- @include decided, late
local admission = {}

function admission.room(r, host)
  if not r or r.host ~= host then
    return Status.ROOM_NOT_FOUND
  end
  if r.state ~= 'live' then
    return Status.ROOM_ENDED
  end
  return nil
end

function admission.closed(c, gift)
  local target = gift.target
  local to = c.targets[target.number]
  if to.closed then
    return to.closed, 0
  elseif gift.user == target.host then
    return Status.OWN_ROOM, 0
  end
  local r = to.room
  if r.rules or r.people[gift.user] or r.asked and gift.shown then
    return decided.no_gift(r, gift, c.now)
  end
  return nil
end

function admission.full(c, gift)
  local to, coins = c.targets[gift.target.number], gift.coins
  local diamonds = share(to.purse, coins)
  if not diamonds then
    return Status.BAD_AMOUNT
  elseif to.purse.diamonds + diamonds > MAX_AMOUNT or to.room.coins + coins > MAX_AMOUNT then
    return Status.WALLET_FULL
  end
  return nil
end
