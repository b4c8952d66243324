-- share(purse, coins): what coins earn by the rate of a purse (earnings.lua), and what remains of the division then;
-- nil if a double does not count that exactly.
-- @include amount
local function share(purse, coins)
  local rate = purse.rate
  if rate.commission and coins * rate.numerator + rate.denominator > MAX_AMOUNT then
    return nil
  end
  local raw = coins * rate.numerator + (purse.carry or 0)
  local carry = raw % rate.denominator
  return (raw - carry) / rate.denominator, carry
end
