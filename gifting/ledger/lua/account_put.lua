#!lua
-- account_put: change what a user may spend, or freeze the account. It holds for every gift that is taken after this.
-- KEYS [1]  the user's partition, six keys as accounts.open takes them
-- ARGV [1]  now, ms since 1970; '' for Redis' clock
--      [2]  msgpack [user, record or '', bits of Frozen to set, and to clear; for the ledger: key, what, value, by];
--           the record as include/protection.lua knows it, with the version of that which it was made of
-- returns   msgpack [status, version of the record now]; CONFLICT: the record has another than the one given
-- @include status
-- @include clock
-- @include accounts
-- @include funds
local now = clock(ARGV[1])
local user, record, set, clear, key, what, value, by = unpack(cmsgpack.unpack(ARGV[2]))
local ACCOUNT = '\151\167account' -- an array of 7 and its first field
local a = accounts.open(1)
local version = 0
accounts.want(a, user)
accounts.load(a)
local account = accounts.get(a, user)

if record ~= '' then
  version = protection.put(a, account, cmsgpack.unpack(record), now)
  if not version then
    return cmsgpack.pack({ Status.CONFLICT, account.cold.v or 0 })
  end
end
funds.freeze(a, account, set)
funds.unfreeze(a, account, clear)
a.entries[1], a.entries.n = ACCOUNT .. cmsgpack.pack(now, key, user, what, value, by), 1
funds.flush(a)
return cmsgpack.pack({ Status.OK, version })
