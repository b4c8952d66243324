-- amount: MAX_AMOUNT, the largest whole number that a double keeps exact. As a limit: none; as a time: never.
local MAX_AMOUNT = 9007199254740991
