"""What protects who spends: the rules of the account, of the region, and of the room say no."""

from __future__ import annotations

from gifting.errors.refusals import Limited, Refused


class Protected(Refused):
    """It says when it ends (``until``), or what is allowed (``cap``), where it has that."""

    status = 403

    def __init__(self, detail: str = "", *, until: int = 0, cap: int = 0) -> None:
        super().__init__(detail)
        self.until = until
        self.cap = cap


class AgeRequired(Protected):
    code = "age_required"
    help = "Gifts and purchases need a token with a verified `age`, at or above what the region asks for."


class RegionNotAllowed(Protected):
    code = "region_not_allowed"
    help = "Gifts and purchases are not offered in the region that the token names."


class AccountNotAllowed(Protected):
    code = "account_not_allowed"
    help = "Accounts of this kind may not send gifts; the operator lists those that may in GIFTING_GIFTING_ACCOUNTS."


class Banned(Protected):
    code = "banned"
    help = "The operator has closed this account for gifts, comments and purchases; ask the operator."


class AccountFrozen(Protected):
    code = "account_frozen"
    help = "A payment was taken back or is disputed; spending goes on once purchases or the operator have settled it."


class OnBreak(Protected):
    code = "on_break"
    help = "This user has taken a break from spending, which can't be ended early."


class GiftCap(Protected):
    code = "gift_cap"
    help = "One gift may not cost more than the limit that is set for this user; send less at once."


class StreakCap(Protected):
    code = "streak_cap"
    help = "Gifts sent in one go may not cost more than the limit that is set for this user; wait, then send again."


class SpendingTooFast(Protected):
    code = "spending_too_fast"
    help = "So many coins may not be spent so quickly; wait, then send it again with a new key."


class SpendingLimit(Protected):
    code = "spending_limit"
    help = "A limit that this user has set would be passed; it ends by itself, and a new key is needed then."


class GuardianLimit(Protected):
    code = "guardian_limit"
    help = "A limit that this user's guardian has set would be passed; it ends by itself, and a new key is needed then."


class PlatformLimit(Protected):
    code = "platform_limit"
    help = "The limit for this region and age would be passed; it ends by itself, and a new key is needed then."


class ConfirmRequired(Protected):
    """``confirm`` is the token with which the same gift goes through, under the same key, before ``until``; ``price``
    is what it costs in money at most, where its sender is. ``gift`` is what is to be confirmed, as the ledger took it.
    """

    code = "confirm_required"
    help = "Ask the user, then send the same gift again with the same key and the `confirm` of this error."

    def __init__(
        self,
        detail: str = "",
        *,
        until: int = 0,
        cap: int = 0,
        confirm: str = "",
        price: tuple[int, str] | None = None,
    ) -> None:
        super().__init__(detail, until=until, cap=cap)
        self.confirm = confirm
        self.price = price
        self.gift = b""


class GiftingOff(Protected):
    code = "gifting_off"
    help = "The host takes no gifts in this stream just now."


class RoomAge(Protected):
    code = "room_age"
    help = "This stream is for older viewers: no gifts and no comments below the age that it asks for."


class RoomRegion(Protected):
    code = "room_region"
    help = "This stream takes no gifts from the region that the token names."


class RoomMaxGift(Protected):
    code = "room_max_gift"
    help = "The host takes no gift that costs so much; send less at once."


class Blocked(Protected):
    code = "blocked"
    help = (
        "The host has blocked this user: no gifts and no comments; or who was meant by a pseudonym: no anonymous gifts."
    )


class Muted(Protected):
    code = "muted"
    help = "This user may not comment in this stream for a while."


class SlowMode(Limited):
    code = "slow_mode"
    help = "Comments in this stream need a pause between them; wait, then send it again."

    def __init__(self, detail: str = "", *, until: int = 0) -> None:
        super().__init__(detail)
        self.until = until
