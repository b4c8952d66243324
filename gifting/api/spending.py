"""What a user has spent, and bought: in each window that a limit may have, and on whom."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gifting.api.access import WARD
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.economy.draft import CAME_TO_NOTHING
from gifting.ledger.spending import Spent
from gifting.model.calendar import DAY_MS
from gifting.model.consequences import state
from gifting.model.money import MAX_AMOUNT
from gifting.model.protection import UNLIMITED, WINDOWS, Protection
from gifting.model.purchase_limits import bought_in, purchase_limit_of
from gifting.model.windows import falls_at, limit_of, spent_in

LISTED: Final = 100
"""Rooms, creators and gifts in an answer, of each those with most coins."""


class WindowSpent(Struct):
    """``limit`` is the lower one of the user's and the guardian's, null: none. ``falls`` is when ``coins`` next get
    less, in ms since 1970; 0: there are none.
    """

    window: str
    coins: int
    limit: int | None
    falls: int


class SpentOn(Struct):
    """Coins for a room, a creator or a gift of the catalog, and how many gifts they were."""

    id: str
    coins: int
    gifts: int


class SpentSince(Struct):
    """All gifts sent from ``since`` (ms since 1970) on, which is later than asked for where there were too many: then
    there are ``more``, which are told when ``since`` is given as ``before``; or where what is older is in the archive
    only, as the user's history tells it. Of rooms, creators and gifts the 100 that
    most was spent on.
    """

    since: int
    more: bool
    coins: int
    rooms: list[SpentOn]
    creators: list[SpentOn]
    gifts: list[SpentOn]


class SpendingReply(Struct):
    """``gifts`` and ``purchases`` are what limits are held to, exactly; orders that may still be paid count."""

    gifts: list[WindowSpent]
    purchases: list[WindowSpent]
    details: SpentSince


async def read_spending(call: Call) -> SpendingReply:
    ledger, user = call.services.ledger, call.path["user"]
    record, now = await ledger.protections.read(user), ledger.now_ms()
    orders = await ledger.orders.of_user(user)
    bought = [(order.created, order.coins) for order in orders if state(order) not in CAME_TO_NOTHING]
    details = await ledger.spending.read(user, max(0, now - call.query["days"] * DAY_MS), call.query["before"])
    return SpendingReply(
        _gifts(record, now),
        _purchases(record, now, bought),
        SpentSince(
            details.since, details.more, details.coins, _on(details.rooms), _on(details.creators), _on(details.gifts)
        ),
    )


def _gifts(record: Protection, now: int) -> list[WindowSpent]:
    return [
        WindowSpent(
            window,
            spent_in(record, window, now),
            _or_none(limit_of(record, window)),
            falls_at(record, window, now),
        )
        for window in WINDOWS
    ]


def _purchases(record: Protection, now: int, bought: list[tuple[int, int]]) -> list[WindowSpent]:
    found = []
    for window in WINDOWS:
        coins, falls = bought_in(record, window, now, bought)
        found.append(WindowSpent(window, coins, _or_none(purchase_limit_of(record, window)), falls))
    return found


def _or_none(coins: int) -> int | None:
    return None if coins == UNLIMITED else coins


def _on(spent: list[Spent]) -> list[SpentOn]:
    return [SpentOn(*one) for one in spent[:LISTED]]


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/users/{user}/spending",
        "What was spent",
        WARD,
        read_spending,
        SpendingReply,
        query=(("days", 30, 366), ("before", 0, MAX_AMOUNT)),
        cost=10,
    ),
)
