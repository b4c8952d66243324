-- digits(number): all digits of a whole number, for where it becomes part of a string; `..` would give 1e+18.
-- (An argument of redis.call that is a whole number below 2^53 is written in full by Redis itself.)
local format = string.format
local function digits(number)
  return format('%d', number)
end
