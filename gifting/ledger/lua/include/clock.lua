-- clock(given): ms since 1970. '' means Redis' own clock, the one clock all nodes share; tests give their own.
local function clock(given)
  if given ~= '' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
