"""How a ledger script ended. ``lua/include/status.lua`` says the same; a test holds the two together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum

from gifting import errors
from gifting.model.money import MAX_AMOUNT


class Status(IntEnum):
    """Precedence, where several apply: the key, then the amount, the room, the sender's account, who the sender is,
    balance and limits.
    """

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
    BANNED = 13
    ACCOUNT_FROZEN = 14
    ON_BREAK = 15
    GIFT_CAP = 16
    STREAK_CAP = 17
    SPENDING_TOO_FAST = 18
    SPENDING_LIMIT = 19
    GUARDIAN_LIMIT = 20
    PLATFORM_LIMIT = 21
    CONFIRM_REQUIRED = 22
    AGE_REQUIRED = 23
    REGION_NOT_ALLOWED = 24
    ACCOUNT_NOT_ALLOWED = 25
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
    PROMOTION_OVER = 42
    NOT_ENOUGH_DIAMONDS = 50
    LEDGER_UNAVAILABLE = 51
    """On a cluster, of a room that could not be asked: only its key was looked at, and nothing is kept under it."""

    @property
    def error(self) -> type[errors.GiftingError]:
        """What a refusal raises; of every status but OK."""
        return _ERRORS[self]


def refusal(status: int, coins: int = 0, ends: int = 0) -> errors.GiftingError:
    """The error of a status that is not OK. ``coins`` are those in the wallet; ``ends`` is what ends it: a time (ms
    since 1970), or how many coins are allowed, or from which age.
    """
    if status == Status.INSUFFICIENT_COINS:
        return errors.InsufficientCoins(f"There are {coins} coins in the wallet.")
    told = _ENDS.get(Status(status))
    return told(ends) if told else Status(status).error()


def status_of(error: errors.GiftingError) -> Status:
    """The status that becomes such an error. Raises KeyError: none does."""
    return _STATUSES[type(error)]


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
    Status.BANNED: errors.Banned,
    Status.ACCOUNT_FROZEN: errors.AccountFrozen,
    Status.ON_BREAK: errors.OnBreak,
    Status.GIFT_CAP: errors.GiftCap,
    Status.STREAK_CAP: errors.StreakCap,
    Status.SPENDING_TOO_FAST: errors.SpendingTooFast,
    Status.SPENDING_LIMIT: errors.SpendingLimit,
    Status.GUARDIAN_LIMIT: errors.GuardianLimit,
    Status.PLATFORM_LIMIT: errors.PlatformLimit,
    Status.CONFIRM_REQUIRED: errors.ConfirmRequired,
    Status.AGE_REQUIRED: errors.AgeRequired,
    Status.REGION_NOT_ALLOWED: errors.RegionNotAllowed,
    Status.ACCOUNT_NOT_ALLOWED: errors.AccountNotAllowed,
    Status.GIFTING_OFF: errors.GiftingOff,
    Status.BLOCKED: errors.Blocked,
    Status.ROOM_AGE: errors.RoomAge,
    Status.ROOM_REGION: errors.RoomRegion,
    Status.ROOM_MAX_GIFT: errors.RoomMaxGift,
    Status.MUTED: errors.Muted,
    Status.SLOW_MODE: errors.SlowMode,
    Status.LIST_FULL: errors.ListFull,
    Status.CONFLICT: errors.Conflict,
    Status.PROMOTION_OVER: errors.PromotionOver,
    Status.NOT_ENOUGH_DIAMONDS: errors.NotEnoughDiamonds,
    Status.LEDGER_UNAVAILABLE: errors.LedgerUnavailable,
}
_STATUSES = {error: status for status, error in _ERRORS.items()}


def _frozen(debt: int) -> errors.GiftingError:
    return errors.AccountFrozen(f"{debt} coins are owed." if debt else "A payment is disputed, or looks like fraud.")


def _on_break(until: int) -> errors.GiftingError:
    ends = "It has no end." if until == MAX_AMOUNT else f"It ends at {_time(until)}."
    return errors.OnBreak(ends, until=until)


def _gift_cap(cap: int) -> errors.GiftingError:
    return errors.GiftCap(f"One gift may cost {cap} coins.", cap=cap)


def _streak_cap(cap: int) -> errors.GiftingError:
    return errors.StreakCap(f"Gifts that follow each other may cost {cap} coins together.", cap=cap)


def _too_fast(until: int) -> errors.GiftingError:
    return errors.SpendingTooFast(f"It can be sent at {_time(until)}.", until=until)


def _limit(error: type[errors.Protected], whose: str) -> Callable[[int], errors.GiftingError]:
    def told(until: int) -> errors.GiftingError:
        if until:
            return error(f"{whose} leaves enough for it at {_time(until)}.", until=until)
        return error(f"{whose} is less than this gift costs.")

    return told


def _too_young(least: int) -> errors.GiftingError:
    return errors.AgeRequired(f"Here that is {least} years." if least else "At this age a guardian is needed.")


def _unasked(cap: int) -> errors.GiftingError:
    why = f"It costs more than {cap} coins." if cap else "It is the first gift."
    return errors.ConfirmRequired(why, cap=cap)


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


_ENDS: dict[Status, Callable[[int], errors.GiftingError]] = {
    Status.ACCOUNT_FROZEN: _frozen,
    Status.ON_BREAK: _on_break,
    Status.GIFT_CAP: _gift_cap,
    Status.STREAK_CAP: _streak_cap,
    Status.SPENDING_TOO_FAST: _too_fast,
    Status.SPENDING_LIMIT: _limit(errors.SpendingLimit, "The user's own limit"),
    Status.GUARDIAN_LIMIT: _limit(errors.GuardianLimit, "The guardian's limit"),
    Status.PLATFORM_LIMIT: _limit(errors.PlatformLimit, "The limit for this region and age"),
    Status.CONFIRM_REQUIRED: _unasked,
    Status.AGE_REQUIRED: _too_young,
    Status.ROOM_AGE: lambda age: errors.RoomAge(f"This stream is for people of {age} years and older."),
    Status.ROOM_MAX_GIFT: lambda coins: errors.RoomMaxGift(f"A gift may cost {coins} coins here.", cap=coins),
    Status.MUTED: lambda until: errors.Muted(f"It ends at {_time(until)}.", until=until),
    Status.SLOW_MODE: lambda until: errors.SlowMode(f"The next is taken at {_time(until)}.", until=until),
}
"""Those that say what ends them."""
