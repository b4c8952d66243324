-- replication: under which id this Redis replicates; it is another one after a failover, a restart or a restore.
--   replication_id()   40 characters
local function replication_id()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
end
