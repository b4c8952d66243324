"""History: what a user bought, gave and was given back, without limit of time."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from msgspec import Struct

from gifting.api.access import WARD
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.archive.history import History, Line
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

_CALLED: Final = {kind: name for name, kind in TYPES.items()}

PAGE_MAX: Final = 500


class HistoryEntry(Struct):
    """``coins`` are all of it, ``bonus`` of them that came on top, and ``debt`` those that settled or became debt.

    ``about`` is the order, the gift of the catalog, what was changed (``value`` is what it became), or of a reversed
    gift its key in hex. ``count`` gifts went to ``creator`` in ``room``. ``money`` is in minor units of ``currency``;
    of a gift, what its coins cost at most, if a ``currency`` was asked for. ``by``: provider, reason or who did it.
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
    ledger, asked, currency = call.services.ledger, call.words["type"], call.words["currency"]
    kinds = [TYPES[asked]] if asked in TYPES else [*TYPES.values()]
    history = History(call.services.archive, ledger.redis, ledger.keys)
    limit = max(call.query["limit"], 1)
    found = await history.page(call.path["user"], kinds, call.query["since"], call.words["cursor"], limit)
    lines, following = found
    return HistoryReply([_entry(call, line, currency) for line in lines], following)


def _entry(call: Call, line: Line, currency: str) -> HistoryEntry:
    money, named = line.money, line.currency
    if line.kind == "debit" and currency:
        money, named = call.services.rulebook.rules.prices.worth(line.coins, currency), currency
    return HistoryEntry(
        type=_CALLED[line.kind],
        ts=line.ts,
        key=str(UUID(bytes=line.key)),
        about=line.about,
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


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/users/{user}/history",
        "What was bought, given, given back and limited, the newest first",
        WARD,
        user_history,
        HistoryReply,
        query=(("since", 0, MAX_AMOUNT), ("limit", 100, PAGE_MAX)),
        words=(("type", ("all", *TYPES)), ("cursor", ()), ("currency", ())),
        cost=5,
        page=100,
    ),
)
