-- replication: under which id this Redis replicates; it is another one after a failover, a restart or a restore.
--   replication_id()   40 characters; Redis is asked once
local known_id

local function replication_id()
  if not known_id then
    local said = redis.call('INFO', 'replication')
    local _, before = string.find(said, 'master_replid:', 1, true)
    known_id = before and string.sub(said, before + 1, before + 40) or ''
  end
  return known_id
end
