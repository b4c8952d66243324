"""How a ledger script ended. ``lua/include/status.lua`` says the same; a test holds the two together."""

from __future__ import annotations

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

    @property
    def error(self) -> type[errors.GiftingError]:
        """What a refusal raises; of every status but OK."""
        return _ERRORS[self]


def refusal(status: int, coins: int = 0) -> errors.GiftingError:
    """The error of a status that is not OK; ``coins`` are those in the wallet."""
    if status == Status.INSUFFICIENT_COINS:
        return errors.InsufficientCoins(f"There are {coins} coins in the wallet.")
    return Status(status).error()


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
}
