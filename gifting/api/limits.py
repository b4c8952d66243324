"""What protects who spends: a user's limits, breaks and guardian, and what was spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from gifting.api.access import ASKED_GUARDIAN, GUARDIAN, UNLINKER, USER, WARD
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.errors import Forbidden
from gifting.ledger.protections import Rule
from gifting.model import limits
from gifting.model.calendar import DAY_MS, HOUR_MS, ZONE
from gifting.model.ids import ID
from gifting.model.limits import NAMES, RAISE_OPEN
from gifting.model.money import MAX_AMOUNT
from gifting.model.protection import UNLIMITED, Protection
from gifting.model.purchase_limits import move

BREAK_HOURS_MAX: Final = 42 * 24
EXCLUSION_DAYS_MAX: Final = 3650

Coins = Annotated[int, Meta(ge=0, le=MAX_AMOUNT - 1)]
"""A limit: any amount; null takes it away."""

Cap = Annotated[int, Meta(ge=1, le=MAX_AMOUNT - 1)]
Time = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]


class WindowsBody(Struct, forbid_unknown_fields=True):
    """Coins per window: the last 24 hours, 7 and 30 days; the calendar's day, week (from Monday) and month."""

    h24: Coins | UnsetType | None = UNSET
    d7: Coins | UnsetType | None = UNSET
    d30: Coins | UnsetType | None = UNSET
    day: Coins | UnsetType | None = UNSET
    week: Coins | UnsetType | None = UNSET
    month: Coins | UnsetType | None = UNSET


class CapsBody(Struct, forbid_unknown_fields=True):
    """Coins of one gift, and of gifts sent in one go; and the coins above which a gift must be confirmed."""

    gift: Cap | UnsetType | None = UNSET
    streak: Cap | UnsetType | None = UNSET
    confirm_above: Cap | UnsetType | None = UNSET


class GuardBody(Struct, forbid_unknown_fields=True):
    """What is left out stays as it is; null takes a limit away."""

    gifts: WindowsBody | UnsetType = UNSET
    purchases: WindowsBody | UnsetType = UNSET
    caps: CapsBody | UnsetType = UNSET


class LimitsBody(GuardBody, forbid_unknown_fields=True):
    """What is left out stays as it is; null takes a limit away. ``zone`` is a name of the IANA database."""

    zone: Annotated[str, Meta(max_length=64, pattern=ZONE)] | UnsetType = UNSET


class Windows(Struct):
    h24: int | None = None
    d7: int | None = None
    d30: int | None = None
    day: int | None = None
    week: int | None = None
    month: int | None = None


class Caps(Struct):
    gift: int | None = None
    streak: int | None = None
    confirm_above: int | None = None


class LimitSet(Struct):
    gifts: Windows
    purchases: Windows
    caps: Caps


class Raised(Struct):
    """A limit that is to be raised to ``coins`` (null: taken away), if that is asked for again from ``after`` on and
    before ``before``, in ms since 1970.
    """

    limit: str
    coins: int | None
    after: int
    before: int


class LimitsReply(Struct):
    """``own`` are the user's, ``guard`` the guardian's; the lower one counts. ``raises`` are noted and not good yet.

    ``asked``: a limit of purchases was set or declined, so purchases may begin. ``blocked_until``: nothing is spent
    before (ms since 1970; 2^53 - 1: for ever; 0: no break). ``invited`` has not accepted yet to be guardian.
    """

    own: LimitSet
    guard: LimitSet
    raises: list[Raised]
    zone: str
    asked: bool
    blocked_until: Time
    guardian: str
    invited: str


class BreakBody(Struct):
    """``hours`` from now; it can't be ended early, and a longer one that there is stays."""

    hours: Annotated[int, Meta(ge=1, le=BREAK_HOURS_MAX)]


class ExclusionBody(Struct):
    """``days`` from now, null: for ever. It can't be ended early."""

    days: Annotated[int, Meta(ge=1, le=EXCLUSION_DAYS_MAX)] | None


class GuardianBody(Struct):
    """Who is asked to be guardian."""

    guardian: Annotated[str, Meta(min_length=1, max_length=64, pattern=ID)]


class WardReply(Struct):
    """``user`` has the one who asks for guardian; not ``accepted``: has only asked for it."""

    user: str
    accepted: bool


class WardsReply(Struct):
    """Of whom a user is guardian, or is asked to be; who asked last first, 100 at most."""

    wards: list[WardReply]


async def read_limits(call: Call) -> LimitsReply:
    return _reply(await call.services.ledger.protections.read(call.path["user"]))


async def set_limits(call: Call) -> LimitsReply:
    wanted, zone = _wanted(call.body), call.body.zone

    def rule(record: Protection, now: int) -> Protection:
        moved = record if zone in (UNSET, record.zone) else move(record, str(zone), now)
        return limits.ask(moved, wanted, now)

    return await _change(call, rule, "limits", _said(wanted) + (f" zone={zone}" if zone is not UNSET else ""))


async def set_guard_limits(call: Call) -> LimitsReply:
    wanted = _wanted(call.body)
    return await _change(call, lambda record, _: limits.ask_as_guardian(record, wanted), "guard", _said(wanted))


async def take_break(call: Call) -> LimitsReply:
    hours: int = call.body.hours
    return await _change(call, lambda record, now: limits.pause(record, now + hours * HOUR_MS), "break", f"{hours} h")


async def exclude(call: Call) -> LimitsReply:
    days: int | None = call.body.days
    said = "for ever" if days is None else f"{days} d"

    def rule(record: Protection, now: int) -> Protection:
        return limits.pause(record, UNLIMITED if days is None else now + days * DAY_MS)

    return await _change(call, rule, "exclusion", said)


async def ask_guardian(call: Call) -> LimitsReply:
    guardian: str = call.body.guardian
    if guardian == call.path["user"]:
        raise Forbidden("Nobody is their own guardian.")
    await call.services.ledger.wards.check_room(guardian)
    return await _link(call, lambda record, _: limits.invite(record, guardian), "guardian_asked", guardian)


async def accept_guardian(call: Call) -> LimitsReply:
    guardian = call.identity.user
    return await _link(call, lambda record, _: limits.accept(record, guardian), "guardian", guardian)


async def unlink_guardian(call: Call) -> LimitsReply:
    return await _link(call, lambda record, _: limits.unlink(record), "guardian", "")


async def read_wards(call: Call) -> WardsReply:
    return WardsReply([WardReply(*ward) for ward in await call.services.ledger.wards.of(call.path["user"])])


async def _link(call: Call, rule: Rule, what: str, value: str) -> LimitsReply:
    user, by = call.path["user"], call.identity.user
    return _reply(await call.services.ledger.wards.link(user, rule, what=what, value=value, by=by))


async def _change(call: Call, rule: Rule, what: str, value: str) -> LimitsReply:
    user, by = call.path["user"], call.identity.user
    return _reply(await call.services.ledger.protections.change(user, rule, what=what, value=value, by=by))


def _wanted(body: GuardBody) -> dict[str, int]:
    """By name what is asked for."""
    asked: dict[str, int] = {}
    for group in ("gifts", "purchases", "caps"):
        part = getattr(body, group)
        for name, coins in () if part is UNSET else asdict(part).items():
            if coins is not UNSET:
                asked[f"{group}.{name}"] = UNLIMITED if coins is None else coins
    return asked


def _said(wanted: Mapping[str, int]) -> str:
    """For the ledger."""
    return " ".join(f"{name}={'none' if coins == UNLIMITED else coins}" for name, coins in wanted.items())


def _or_none(coins: int) -> int | None:
    return None if coins == UNLIMITED else coins


def _reply(record: Protection) -> LimitsReply:
    raises = [Raised(what, _or_none(coins), at, at + RAISE_OPEN) for at, what, coins in record.raises]
    return LimitsReply(
        _set(limits.values(record)),
        _set(limits.values(record, guard=True)),
        raises,
        record.zone,
        record.asked > 0,
        record.until,
        record.guardian,
        record.invited,
    )


def _set(values: Mapping[str, int]) -> LimitSet:
    parts: dict[str, dict[str, int]] = {"gifts": {}, "purchases": {}, "caps": {}}
    for name in NAMES:
        group, _, window = name.partition(".")
        if name in values:
            parts[group][window] = values[name]
    return LimitSet(Windows(**parts["gifts"]), Windows(**parts["purchases"]), Caps(**parts["caps"]))


_LIMITS = "/v1/users/{user}/limits"
_GUARDIAN = "/v1/users/{user}/guardian"

ENDPOINTS: Final = (
    Endpoint("GET", _LIMITS, "What is set to be spent at most", WARD, read_limits, LimitsReply),
    Endpoint("PUT", _LIMITS, "Set it", USER, set_limits, LimitsReply, LimitsBody, cost=5),
    Endpoint("POST", "/v1/users/{user}/break", "Spend nothing for a while", USER, take_break, LimitsReply, BreakBody),
    Endpoint("POST", "/v1/users/{user}/exclusion", "Spend nothing for long", USER, exclude, LimitsReply, ExclusionBody),
    Endpoint("GET", "/v1/users/{user}/wards", "Whose guardian a user is", USER, read_wards, WardsReply, cost=10),
    Endpoint("PUT", _GUARDIAN, "Ask for a guardian", USER, ask_guardian, LimitsReply, GuardianBody),
    Endpoint("POST", f"{_GUARDIAN}/accept", "Be the guardian", ASKED_GUARDIAN, accept_guardian, LimitsReply),
    Endpoint("DELETE", _GUARDIAN, "End it", UNLINKER, unlink_guardian, LimitsReply),
    Endpoint("PUT", f"{_GUARDIAN}/limits", "Set the guardian's", GUARDIAN, set_guard_limits, LimitsReply, GuardBody),
)
