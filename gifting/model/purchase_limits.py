"""May a user buy so many coins now? By the limits of purchases, over the times and coins of the user's orders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from gifting.errors import GiftingError, LimitsUnasked, OnBreak, PurchaseLimit
from gifting.model.calendar import Offsets, offsets, same_end, window_end, window_start
from gifting.model.protection import CALENDAR, UNLIMITED, WIDTHS, WINDOWS, Protection, Span, Window
from gifting.model.windows import moved


class Bought(NamedTuple):
    """An order that is paid, or still may be: when it was begun (ms since 1970), and its coins."""

    at: int
    coins: int


def purchase_refusal(
    record: Protection, now: int, coins: int, bought: Iterable[tuple[int, int]]
) -> GiftingError | None:
    """Why the user may not buy ``coins``; None: may. ``bought`` are (ms, coins) of what counts, in any order.

    Returns:
        OnBreak, LimitsUnasked, or PurchaseLimit, which says when it ends (0: never, for so many coins).
    """
    if now < record.until:
        return OnBreak(until=record.until)
    if not record.asked:
        return LimitsUnasked()
    orders = list(bought)
    refusals = (_passed(record, window, now, coins, orders) for window in WINDOWS)
    return next((one for one in refusals if one), None)


def purchase_limit_of(record: Protection, window: Window) -> int:
    """The smaller of the user's own limit and the guardian's."""
    return min(record.purchases.get(window, UNLIMITED), record.guard_purchases.get(window, UNLIMITED))


def bought_in(record: Protection, window: Window, now: int, bought: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Coins bought in a window, and when that next gets less (0: it is nothing). What is stamped after ``now``, by a
    clock that went back since, counts too.
    """
    counted = _counted(record, window, now, bought)
    coins = sum(one.coins for one in counted)
    return coins, _frees_at(record, window, now, 1, counted) if coins else 0


def _counted(record: Protection, window: Window, now: int, bought: Iterable[tuple[int, int]]) -> list[Bought]:
    since = now - WIDTHS[window] + 1 if window in WIDTHS else _span(record, window, now).start
    return sorted(Bought(*one) for one in bought if one[0] >= since)


def _passed(
    record: Protection, window: Window, now: int, coins: int, orders: list[tuple[int, int]]
) -> PurchaseLimit | None:
    limit, counted = purchase_limit_of(record, window), _counted(record, window, now, orders)
    over = sum(one.coins for one in counted) + coins - limit
    if over <= 0:
        return None
    until = 0 if coins > limit else _frees_at(record, window, now, over, counted)
    return PurchaseLimit(f"The limit of {window} is {limit} coins.", until=until, cap=limit)


def _frees_at(record: Protection, window: Window, now: int, over: int, counted: list[Bought]) -> int:
    if window not in WIDTHS:
        return _span(record, window, now).end
    for at, coins in counted:
        if (over := over - coins) <= 0:
            return at + WIDTHS[window]
    raise AssertionError("All that was bought leaves the window some day.")


def _span(record: Protection, window: Window, now: int) -> Span:
    """The calendar window that ``now`` is in."""
    place = CALENDAR.index(window)
    lengthened = record.spans[place] if record.spans else Span(0, 0)
    if now < lengthened.end:
        return lengthened
    kind = CALENDAR[place]
    start = window_start(kind, now, record.offsets)
    return Span(max(start, lengthened.end), window_end(kind, now, record.offsets))


def _lengthened(span: Span, old: Offsets, new: Offsets) -> Span:
    return Span(span.start, same_end(span.end, old, new))


def move(record: Protection, zone: str, now: int) -> Protection:
    """The record of who lives in another zone from ``now`` on: no window, of gifts or purchases, ends sooner for it.

    Raises:
        BadZone
    """
    known = offsets(zone, now)
    spans = tuple(_lengthened(_span(record, window, now), record.offsets, known) for window in CALENDAR)
    return replace(moved(record, zone, now), spans=spans)
