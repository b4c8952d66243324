#!lua flags=no-writes
-- rooms_page: members of a sorted set, the highest score first and of equals the later id, from a place on.
-- KEYS [1]  the sorted set
-- ARGV [1]  how many at most
--      [2]  the score of the place, '' for the beginning
--      [3]  the id of the place; what follows it is given, whether it is still there or not
-- returns   array [id, score, ...]
local score, id = tonumber(ARGV[2]), ARGV[3]

local function is_after(rank)
  local found = redis.call('ZREVRANGE', KEYS[1], rank, rank, 'WITHSCORES')
  local found_score = tonumber(found[2])
  return found_score < score or (found_score == score and found[1] < id)
end

-- By halving: many may have the same score.
local from, to = 0, score and redis.call('ZCARD', KEYS[1]) or 0
while from < to do
  local middle = math.floor((from + to) / 2)
  if is_after(middle) then
    to = middle
  else
    from = middle + 1
  end
end
return redis.call('ZREVRANGE', KEYS[1], from, from + tonumber(ARGV[1]) - 1, 'WITHSCORES')
