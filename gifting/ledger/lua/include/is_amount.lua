-- is_amount(value): a whole number from 1 to MAX_AMOUNT.
-- @include amount
local function is_amount(value)
  return type(value) == 'number' and value >= 1 and value <= MAX_AMOUNT and value % 1 == 0
end
