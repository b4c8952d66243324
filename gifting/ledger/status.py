"""How a ledger script ended. ``lua/include/status.lua`` says the same; a test holds the two together."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from gifting import errors


class Status(IntEnum):
    """Precedence, where several apply: the key, then the amount, the room, the sender's balance, the limits."""

    OK = 0
    INSUFFICIENT_COINS = 1
    ROOM_NOT_FOUND = 2
    ROOM_ENDED = 3
    OWN_ROOM = 4
    KEY_REUSED = 5
    KEY_EXPIRED = 6
    KEY_IN_FUTURE = 7
    BAD_AMOUNT = 8
    WALLET_FULL = 9
    ROOM_TAKEN = 10
    TOO_MANY_LIVE_ROOMS = 11
    OUTCOME_UNKNOWN = 12
    """A script broke off: what it did for the key may be half done."""

    GIFTING_OFF = 30
    BLOCKED = 31
    ROOM_AGE = 32
    ROOM_REGION = 33
    ROOM_MAX_GIFT = 34
    MUTED = 35
    SLOW_MODE = 36
    LIST_FULL = 37

    CONFLICT = 40
    """What a change was computed from is no longer so."""

    @property
    def error(self) -> type[errors.GiftingError]:
        """What a refusal raises; of every status but OK."""
        return _ERRORS[self]


def refusal(status: int, coins: int = 0, ends: int = 0) -> errors.GiftingError:
    """The error of a status that is not OK; ``coins`` are those in the wallet, ``ends`` is what ends it."""
    if status == Status.INSUFFICIENT_COINS:
        return errors.InsufficientCoins(f"There are {coins} coins in the wallet.")
    told = _ENDS.get(Status(status))
    return told(ends) if told else Status(status).error()


_ERRORS: dict[Status, type[errors.GiftingError]] = {
    Status.INSUFFICIENT_COINS: errors.InsufficientCoins,
    Status.ROOM_NOT_FOUND: errors.RoomNotFound,
    Status.ROOM_ENDED: errors.RoomEnded,
    Status.OWN_ROOM: errors.OwnRoom,
    Status.KEY_REUSED: errors.KeyReused,
    Status.KEY_EXPIRED: errors.KeyExpired,
    Status.KEY_IN_FUTURE: errors.KeyInFuture,
    Status.BAD_AMOUNT: errors.BadAmount,
    Status.WALLET_FULL: errors.WalletFull,
    Status.ROOM_TAKEN: errors.RoomTaken,
    Status.TOO_MANY_LIVE_ROOMS: errors.TooManyLiveRooms,
    Status.OUTCOME_UNKNOWN: errors.OutcomeUnknown,
    Status.GIFTING_OFF: errors.GiftingOff,
    Status.BLOCKED: errors.Blocked,
    Status.ROOM_AGE: errors.RoomAge,
    Status.ROOM_REGION: errors.RoomRegion,
    Status.ROOM_MAX_GIFT: errors.RoomMaxGift,
    Status.MUTED: errors.Muted,
    Status.SLOW_MODE: errors.SlowMode,
    Status.LIST_FULL: errors.ListFull,
    Status.CONFLICT: errors.Conflict,
}


_ENDS: dict[Status, Callable[[int], errors.GiftingError]] = {
    Status.ROOM_AGE: lambda age: errors.RoomAge(f"This stream is for people of {age} years and older."),
    Status.ROOM_MAX_GIFT: lambda coins: errors.RoomMaxGift(f"A gift may cost {coins} coins here.", cap=coins),
    Status.MUTED: lambda until: errors.Muted(f"This user may comment again at {until} (ms since 1970).", until=until),
    Status.SLOW_MODE: lambda until: errors.SlowMode(f"The next comment is taken at {until} (ms since 1970)."),
}
"""Those that say what ends them."""
