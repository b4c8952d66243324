"""Entries of the ledger stream from its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgpack
from msgpack.exceptions import UnpackException

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
)

UNREADABLE: Final = (UnpackException, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading bytes that something else has written may raise."""


def _grant(ts: Any, key: Any, user: Any, coins: Any, reason: Any, operator: Any) -> Grant:
    return Grant(ts, key, user.decode(), coins, reason.decode(), operator.decode())


def _purchase(
    ts: Any,
    key: Any,
    user: Any,
    order: Any,
    paid: Any,
    bonus: Any,
    settled: Any,
    price: Any = 0,
    currency: Any = b"",
    provider: Any = b"",
) -> Purchase:
    names = currency.decode(), provider.decode()
    return Purchase(ts, key, user.decode(), order.decode(), paid, bonus, settled, price, *names)


def _reversal(
    ts: Any,
    key: Any,
    user: Any,
    order: Any,
    paid: Any,
    bonus: Any,
    debt: Any,
    amount: Any = 0,
    currency: Any = b"",
    why: Any = b"",
    lot: Any = 0,
) -> Reversal:
    names = currency.decode(), why.decode()
    return Reversal(ts, key, user.decode(), order.decode(), paid, bonus, debt, amount, *names, lot)


def _debit(ts: Any, key: Any, user: Any, room: Any, host: Any, gift: Any, gifts: Any, coins: Any) -> Debit:
    return Debit(ts, key, user.decode(), room.decode(), host.decode(), gift.decode(), gifts, coins)


def _credit(ts: Any, key: Any, user: Any, room: Any, host: Any, *numbers: Any) -> Credit:
    return Credit(ts, key, user.decode(), room.decode(), host.decode(), *numbers)


def _gift_reversal(
    ts: Any, key: Any, user: Any, gift: Any, room: Any, host: Any, paid: Any, bonus: Any, settled: Any, by: Any
) -> GiftReversal:
    names = room.decode(), host.decode()
    return GiftReversal(ts, key, user.decode(), gift, *names, paid, bonus, settled, by.decode())


def _clawback(
    ts: Any, key: Any, host: Any, gift: Any, user: Any, diamonds: Any, debt: Any, borne: Any, by: Any, day: Any = 0
) -> Clawback:
    return Clawback(ts, key, host.decode(), gift, user.decode(), diamonds, debt, borne, by.decode(), day)


def _payout(ts: Any, key: Any, host: Any, payout: Any, diamonds: Any, amount: Any, *names: Any) -> Payout:
    return Payout(ts, key, host.decode(), payout.decode(), diamonds, amount, *(name.decode() for name in names))


def _account(ts: Any, key: Any, user: Any, what: Any, value: Any, by: Any) -> AccountChange:
    return AccountChange(ts, key, user.decode(), what.decode(), value.decode(), by.decode())


_READERS: Final[dict[bytes, Callable[..., Entry]]] = {
    b"grant": _grant,
    b"purchase": _purchase,
    b"reversal": _reversal,
    b"debit": _debit,
    b"gift_reversal": _gift_reversal,
    b"credit": _credit,
    b"clawback": _clawback,
    b"payout": _payout,
    b"account": _account,
}


def parse_entries(data: bytes) -> Iterator[Entry]:
    """The entries of one stream item. Raises one of :data:`UNREADABLE` for what is none."""
    unpacker = msgpack.Unpacker(raw=True, use_list=False, max_buffer_size=0)
    unpacker.feed(data)
    for kind, *values in unpacker:
        yield _READERS[kind](*values)
    unpacker.read_bytes(1)  # raises ValueError where the last entry breaks off, of which iterating says nothing
