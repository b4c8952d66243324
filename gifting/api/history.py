"""History: what a user bought and gave, what a creator earned, without limit of time; the ledger, for operators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from gifting.api.access import CREATOR, OPERATORS, WARD
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.api.sheet import FORMAT
from gifting.api.words import ANYBODY, CURRENCY, CURSOR, SOMEBODY, UUID_KEY
from gifting.archive.history import ALL, DAY, History, Line, Narrowed, Sum, added
from gifting.errors import UnknownPackage
from gifting.model.money import MAX_AMOUNT

TYPES: Final = {
    "purchase": "purchase",
    "gift": "debit",
    "refund": "reversal",
    "limits": "account",
    "grant": "grant",
    "gift_reversal": "gift_reversal",
}
"""What an entry of the ledger is called here."""

BY_OPERATORS: Final = ("grant", "gift_reversal", "clawback")
"""Entries whose ``via`` is an operator."""

_CALLED: Final = {kind: name for name, kind in TYPES.items()}

PAGE_MAX: Final = 500


class HistoryEntry(Struct):
    """``coins`` are all of it, ``bonus`` of them that came on top, and ``debt`` those that settled or became debt.

    ``about`` is the order, the gift of the catalog, what was changed (``value`` is what it became), or of a reversed
    gift its key. ``count`` gifts went to ``creator`` in ``room``. ``money`` is in minor units of ``currency``;
    of a gift, what its coins cost at most, in the ``currency`` that was asked for, else the usual one of the caller's
    region. ``by``: provider, reason or who did it; which operator did it is told to operators alone.
    """

    type: str
    ts: int
    key: str
    about: str
    count: int
    coins: int
    bonus: int
    debt: int
    room: str
    creator: str
    money: int
    currency: str
    by: str
    value: str


class HistoryReply(Struct):
    """The newest first. ``next`` is the ``cursor`` of the page after, '' where there is none."""

    entries: list[HistoryEntry]
    next: str


async def user_history(call: Call) -> HistoryReply:
    ledger, asked, currency = call.services.ledger, call.words["type"], _currency(call)
    kinds = [TYPES[asked]] if asked in TYPES else [*TYPES.values()]
    history = History(call.services.archive, ledger.redis, ledger.keys)
    limit = max(call.query["limit"], 1)
    found = await history.page(call.path["user"], kinds, call.query["since"], call.words["cursor"], limit)
    lines, following = found
    return HistoryReply([_entry(call, _shown(call, line), currency) for line in lines], following)


def _currency(call: Call) -> str:
    """In which gifts are told; '' where nothing is sold. Raises UnknownPackage: nothing is in the one asked for."""
    rules, asked = call.services.rulebook.rules, call.words["currency"]
    if asked:
        rules.prices.worth(0, asked)
        return asked
    try:
        return rules.prices.market(rules.regions.of(call.identity.standing.region).id).currency
    except UnknownPackage:
        return ""


def _entry(call: Call, line: Line, currency: str) -> HistoryEntry:
    money, named = line.money, line.currency
    if line.kind in ("debit", "gift_reversal") and currency:
        money, named = call.services.rulebook.rules.prices.worth(line.coins, currency), currency
    return HistoryEntry(
        type=_CALLED[line.kind],
        ts=line.ts,
        key=str(UUID(bytes=line.key)),
        about=_about(line),
        count=line.gifts,
        coins=line.coins,
        bonus=line.bonus,
        debt=line.debt,
        room=line.room,
        creator=line.peer,
        money=money,
        currency=named,
        by=line.via,
        value=line.reason,
    )


class LedgerEntry(Struct):
    """An entry of the ledger. ``key`` of a credit and a debit is the gift's; ``peer`` is the other side, ``via`` the
    provider, the reason or who did it (which operator, to operators alone). ``diamonds`` are milli-diamonds,
    ``commission`` is in basis points.
    """

    kind: str
    ts: int
    key: str
    owner: str
    peer: str
    room: str
    about: str
    gifts: int
    coins: int
    paid: int
    bonus: int
    debt: int
    diamonds: int
    money: int
    currency: str
    via: str
    commission: int
    reason: str


class LedgerReply(Struct):
    """The newest first. ``next`` is the ``cursor`` of the page after, '' where there is none."""

    entries: list[LedgerEntry]
    next: str


EARNED: Final = ("credit", "clawback", "payout")
KINDS: Final = (*TYPES.values(), *EARNED)


class EarningsSum(Struct):
    """What was earned (``credit``), taken back (``clawback``) or paid out (``payout``) in a ``period``, a day or month
    of UTC: ``count`` entries. ``diamonds`` and ``debt`` are milli-diamonds, ``money`` is in minor units.
    """

    period: str
    kind: str
    currency: str
    count: int
    coins: int
    diamonds: int
    debt: int
    money: int


class EarningsReply(Struct):
    """The newest first: ``entries``, or ``sums`` where they are asked for by day or month. ``next`` is the ``cursor``
    of the page after, '' where there is none.
    """

    entries: list[LedgerEntry]
    sums: list[EarningsSum]
    next: str


PERIODS: Final = {"day": "%Y-%m-%d", "month": "%Y-%m"}


async def creator_earnings(call: Call) -> EarningsReply:
    creator, by = call.path["creator"], call.words["by"]
    if by not in PERIODS:
        found = await _ledger(call, creator, EARNED)
        return EarningsReply(found.entries, [], found.next)
    history = History(call.services.archive, call.services.ledger.redis, call.services.ledger.keys)
    days = await history.sums(creator, EARNED, call.query["since"])
    return EarningsReply([], _by_period(days, PERIODS[by]), "")


def _by_period(days: list[Sum], form: str) -> list[EarningsSum]:
    """Days put together to the periods that ``form`` names."""
    sums: dict[tuple[str, str, str], Sum] = {}
    for day in days:
        name = f"{datetime.fromtimestamp(day.day * DAY / 1000, UTC):{form}}", day.kind, day.currency
        sums[name] = added(sums[name], day) if name in sums else day
    return [EarningsSum(*name, *total[3:]) for name, total in sums.items()]


async def search_ledger(call: Call) -> LedgerReply:
    owner, kind, key = call.words["owner"], call.words["kind"], call.words["key"]
    until = call.query["until"] or MAX_AMOUNT
    narrowed = Narrowed(until, call.words["room"], UUID(key).bytes if key else b"")
    return await _ledger(call, owner, KINDS if kind == "all" else (kind,), narrowed)


async def _ledger(call: Call, owner: str, kinds: tuple[str, ...], narrowed: Narrowed = ALL) -> LedgerReply:
    ledger, limit = call.services.ledger, max(call.query["limit"], 1)
    history = History(call.services.archive, ledger.redis, ledger.keys)
    lines, following = await history.page(owner, kinds, call.query["since"], call.words["cursor"], limit, narrowed)
    return LedgerReply([told(_shown(call, line)) for line in lines], following)


def _shown(call: Call, line: Line) -> Line:
    """The line without the name of an operator, unless one asks."""
    hidden = line.via and line.kind in BY_OPERATORS and call.identity.role != "operator"
    return line._replace(via="operator") if hidden else line


def _about(line: Line) -> str:
    """What it is about; a gift by its key, as it is written everywhere else."""
    return str(UUID(line.about)) if line.kind in ("gift_reversal", "clawback") else line.about


def told(line: Line) -> LedgerEntry:
    said = line._asdict() | {"key": str(UUID(bytes=line.key)), "about": _about(line)}
    return LedgerEntry(**{name: said[name] for name in LedgerEntry.__struct_fields__})


_PAGE: Final = (("since", 0, MAX_AMOUNT), ("limit", 100, PAGE_MAX))

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/creators/{creator}/earnings",
        "What a creator earned by gifts, lost by reversals and was paid, the newest first",
        CREATOR,
        creator_earnings,
        EarningsReply,
        query=_PAGE,
        words=(("by", ("entry", *PERIODS)), ("cursor", CURSOR), FORMAT),
        cost=5,
        page=100,
    ),
    Endpoint(
        "GET",
        "/v1/admin/ledger",
        "The ledger of one user or creator, the newest first",
        OPERATORS,
        search_ledger,
        LedgerReply,
        query=(*_PAGE, ("until", 0, MAX_AMOUNT)),
        words=(
            ("owner", SOMEBODY),
            ("kind", ("all", *KINDS)),
            ("key", UUID_KEY),
            ("room", ANYBODY),
            ("cursor", CURSOR),
            FORMAT,
        ),
        cost=5,
        page=100,
    ),
    Endpoint(
        "GET",
        "/v1/users/{user}/history",
        "What was bought, given, given back and limited, the newest first",
        WARD,
        user_history,
        HistoryReply,
        query=_PAGE,
        words=(("type", ("all", *TYPES)), ("cursor", CURSOR), ("currency", CURRENCY), FORMAT),
        cost=5,
        page=100,
    ),
)
