-- status: how a call ended. The same names and numbers as ledger/status.py; a test holds the two together.
local Status = {
  OK = 0,
  INSUFFICIENT_COINS = 1,
  ROOM_NOT_FOUND = 2,
  ROOM_ENDED = 3,
  OWN_ROOM = 4,
  KEY_REUSED = 5,
  KEY_EXPIRED = 6,
  KEY_IN_FUTURE = 7,
  BAD_AMOUNT = 8,
  WALLET_FULL = 9,
  ROOM_TAKEN = 10,
  TOO_MANY_LIVE_ROOMS = 11,
  OUTCOME_UNKNOWN = 12,
}
