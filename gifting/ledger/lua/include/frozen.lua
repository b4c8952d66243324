-- frozen: why an account is frozen, as bits; ledger/account.py has the same.
local Frozen = { DEBT = 1, WARNING = 2, DISPUTE = 4, BANNED = 8 }
