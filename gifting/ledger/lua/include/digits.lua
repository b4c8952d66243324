-- digits(number): all digits of a whole number; Lua's own way gives 1e+18.
local function digits(number)
  return string.format('%.0f', number)
end
