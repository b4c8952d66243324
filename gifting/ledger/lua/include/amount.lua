-- is_amount(value): a whole number from 1 to 2^53 - 1, the largest that a double keeps exact.
local MAX_AMOUNT = 9007199254740991

local function is_amount(value)
  return type(value) == 'number' and value >= 1 and value <= MAX_AMOUNT and value % 1 == 0
end
