-- giving: gifts, one after another: what may refuse them, in the order in which a sender is told of it, and what both
-- halves do.
--   giving.commit(d, c, half, claim)     a claim of the debits d. `half` gives it: half.give(c, gift) returns its seq,
--                                        repeat_count and streak; c is as admission.lua takes it. Returns the two parts
--                                        of a result: how, and the rest
--   giving.refused(status, coins, ends)  the rest of a refusal: what the sender has left, and what ends it
-- @include status
-- @include admission
-- @include debit
-- @include wire
local ARRAY = '\150' -- of 6
local FRESH, DUPLICATE = ARRAY .. '\0', ARRAY .. '\1' -- and its first field
local giving = { FRESH = FRESH }

function giving.refused(status, coins, ends)
  return wire[status] .. wire[ends or 0] .. wire[coins or 0] .. '\0\0'
end

-- All that can refuse a gift, before the first change, in the order in which a sender is told of it; and what ends it.
local function refusal(d, c, claim, account)
  local gift = claim.gift
  local status, ends = debit.bad_amount(d, gift), nil
  if not status then
    status, ends = admission.closed(c, gift)
  end
  local free = not status and debit.is_free(d, claim, account)
  if not (status or free) then
    status, ends = debit.refusal(d, claim, account)
  end
  status = status or admission.full(c, gift)
  if not (status or free) then
    status, ends = debit.unasked(claim, account)
  end
  return status, ends
end

-- Returns the status, the result, and the share of a limit that is passed.
local function decide(d, c, half, claim)
  local account = debit.account(d, claim)
  local refused, ends = refusal(d, c, claim, account)
  if refused then
    return refused, giving.refused(refused, account.coins, ends)
  end
  local passed = debit.take(d, claim, account)
  local seq, repeat_count, streak = half.give(c, claim.gift)
  return Status.OK, '\0' .. wire[seq] .. wire[account.coins] .. wire[repeat_count] .. wire[streak], passed
end

function giving.commit(d, c, half, claim)
  local passed
  local status, stored, keep = debit.check_key(d, claim)
  if stored then
    return DUPLICATE, stored
  end
  if status and not keep then
    return FRESH, giving.refused(status)
  end
  if status then
    stored = giving.refused(status)
  else
    status, stored, passed = decide(d, c, half, claim)
  end
  -- Once it is confirmed, or its room can be asked, the gift comes with the same key.
  if status ~= Status.CONFIRM_REQUIRED and status ~= Status.LEDGER_UNAVAILABLE then
    debit.keep(claim, stored)
  end
  return passed and passed > 0 and ARRAY .. wire[passed] or FRESH, stored
end
