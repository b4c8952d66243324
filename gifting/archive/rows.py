"""What becomes of the ledger's items: rows of ``items`` and ``entries``, in order, chained. Pure.

Nothing of an item ever stops the archive: one that can't be read is kept as it is, and an oddity says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, assert_never, get_args

from gifting.ledger.entries import (
    AccountChange,
    Clawback,
    Credit,
    Debit,
    Entry,
    GiftReversal,
    Grant,
    Payout,
    Purchase,
    Reversal,
    plausible,
)
from gifting.ledger.entry_parser import UNREADABLE, parse_entries
from gifting.ledger.keys import partition_of
from gifting.model.chain import next_hash
from gifting.model.money import MAX_AMOUNT
from gifting.model.periods import month_of_key, period_of

Row = tuple[str | int | bytes | None, ...]
"""A table's values, in the order of its columns."""

_KINDS: Final = {kind: str(kind.__struct_config__.tag) for kind in get_args(Entry)}
"""What the ledger calls each kind of entry."""

WHOLE: Final = -1
"""The place of an oddity that is an item as a whole."""

NONE: Final = "0-0"
"""The id of the item before the first."""


class Cursor(NamedTuple):
    """How far a partition is archived: ``seq`` items up to ``item_id``, the last with ``hash``, in ``period``."""

    partition: int
    seq: int
    item_id: str
    hash: bytes
    period: int


class Page(NamedTuple):
    """What a partition's next items become: from ``before`` to ``after``."""

    before: Cursor
    after: Cursor
    items: list[Row]
    entries: list[Row]
    oddities: list[Row]


def turn(before: Cursor, items: Iterable[tuple[str, bytes | None]], partitions: int) -> Page:
    """The rows of what comes next in the stream of one of so many partitions: ids and
    data; of one without entries, None."""
    page = Page(before, before, [], [], [])
    partition, seq, item_id, chained, period = before
    for item_id, found in items:
        data = found or b""
        seq += 1
        period = period_of(item_id, period)
        chained = next_hash(chained, partition, item_id, data)
        page.items.append((period, partition, seq, item_id, data, chained))
        try:
            page.entries.extend(rows_of_item(partition, seq, data, partitions))
        except UNREADABLE as error:
            page.oddities.append((partition, seq, WHOLE, _why(error)))
    return page._replace(after=Cursor(partition, seq, item_id, chained, period))


def _why(error: Exception) -> str:
    return f"it can't be read: {error!r}"[:500]


def rows_of_item(partition: int, seq: int, data: bytes, partitions: int) -> list[Row]:
    """The rows of ``entries`` of an item of one of so many partitions: all or nothing. Raises one of UNREADABLE."""
    if not data:
        raise ValueError("it has no entries")
    return [_row(partition, seq, place, entry, partitions) for place, entry in enumerate(parse_entries(data))]


def _row(partition: int, seq: int, place: int, entry: Entry, partitions: int) -> Row:
    """An entry's columns, as the schema has them."""
    if not plausible(entry) or type(entry.ts) is not int or not 0 <= entry.ts <= MAX_AMOUNT:
        raise ValueError("a field is not what it must be")
    month = month_of_key(entry.key, entry.ts)
    keeper = partition_of(entry.user, partitions) if type(entry) is Credit else partition
    return (month, _KINDS[type(entry)], entry.key, partition, seq, place, entry.ts, *_columns(entry), keeper)


def _columns(entry: Entry) -> Row:
    """owner, peer, room, about, count, coins, paid, bonus, debt, diamonds, money, currency, via, commission, reason"""
    match entry:
        case Debit(user=user, room=room, host=host, gift=gift, gifts=gifts, coins=coins):
            return user, host, room, gift, gifts, coins, 0, 0, 0, 0, 0, "", "", 0, ""
        case Credit(host=host, user=user, room=room, coins=coins, diamonds=diamonds, commission=commission):
            return host, user, room, "", 0, coins, 0, 0, 0, diamonds, 0, "", "", commission, ""
        case Grant():
            return entry.user, "", "", "", 0, entry.coins, 0, 0, 0, 0, 0, "", entry.operator, 0, entry.reason
        case Purchase(paid=paid, bonus=bonus, settled=settled, price=price):
            named = entry.currency, entry.provider, 0, ""
            return entry.user, "", "", entry.order, 0, paid + bonus, paid, bonus, settled, 0, price, *named
        case Reversal(paid=paid, bonus=bonus, debt=debt, amount=amount):
            named = entry.currency, entry.why, 0, ""
            return entry.user, "", "", entry.order, 0, paid + bonus, paid, bonus, debt, 0, amount, *named
        case GiftReversal(paid=paid, bonus=bonus, settled=settled):
            whose = entry.user, entry.host, entry.room, entry.gift.hex()
            return *whose, 0, paid + bonus, paid, bonus, settled, 0, 0, "", entry.by, 0, ""
        case Clawback(diamonds=diamonds, debt=debt, borne=borne):
            whose = entry.host, entry.user, "", entry.gift.hex()
            return *whose, 0, 0, borne, 0, debt, diamonds, 0, "", entry.by, 0, ""
        case Payout(diamonds=diamonds, amount=amount):
            named = entry.currency, entry.provider, 0, ""
            return entry.host, "", "", entry.payout, 0, 0, 0, 0, 0, diamonds, amount, *named
        case AccountChange(what=what, value=value, by=by):
            return entry.user, "", "", what, 0, 0, 0, 0, 0, 0, 0, "", by, 0, value
        case _:
            assert_never(entry)
