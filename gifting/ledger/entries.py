"""The ledger stream, entry by entry: what every balance can be rebuilt from.

One item of a partition's stream holds the entries of one call, one msgpack array after another:

- ``grant``: ts, key, user, coins, reason, operator — coins are issued to a user of this partition;
- ``purchase``: ts, key, user, order, paid, bonus, settled — coins of an order are issued to a user of this partition,
  ``settled`` of them for what the user owed: bonus coins first;
- ``reversal``: ts, key, user, order, paid, bonus, debt — coins of an order are taken back, and what was not there is
  debt; or, below 0, given back;
- ``debit``: ts, key, user, room, host, gift, gifts, coins — a user of this partition pays;
- ``account``: ts, key, user, what, value, by — what a user of this partition may spend is changed, coins are not;
- ``credit``: ts, key, user, room, host, seq, coins, diamonds, rate numerator, rate denominator — a host of this
  partition earns; the remainder of ``coins × numerator / denominator`` is carried, per host and denominator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, assert_never

import msgpack
from msgpack.exceptions import UnpackException
from msgspec import Struct

from gifting.model.money import MAX_AMOUNT

UNREADABLE: Final = (UnpackException, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading bytes that something else has written may raise."""


class Grant(Struct, frozen=True, gc=False, tag="grant"):
    ts: int
    key: bytes
    user: str
    coins: int
    reason: str
    operator: str


class Purchase(Struct, frozen=True, gc=False, tag="purchase"):
    ts: int
    key: bytes
    user: str
    order: str
    paid: int
    bonus: int
    settled: int


class Reversal(Struct, frozen=True, gc=False, tag="reversal"):
    ts: int
    key: bytes
    user: str
    order: str
    paid: int
    bonus: int
    debt: int


class Debit(Struct, frozen=True, gc=False, tag="debit"):
    ts: int
    key: bytes
    user: str
    room: str
    host: str
    gift: str
    gifts: int
    coins: int


class Credit(Struct, frozen=True, gc=False, tag="credit"):
    ts: int
    key: bytes
    user: str
    room: str
    host: str
    seq: int
    coins: int
    diamonds: int
    numerator: int
    denominator: int


class AccountChange(Struct, frozen=True, gc=False, tag="account"):
    ts: int
    key: bytes
    user: str
    what: str
    value: str
    by: str


Entry = Grant | Purchase | Reversal | Debit | Credit | AccountChange
"""Whoever takes entries apart does it by ``match`` with ``assert_never``, so that no new kind passes for an old one."""


def owner(entry: Entry) -> str:
    """Whose partition an entry is in."""
    match entry:
        case Grant() | Purchase() | Reversal() | Debit() | AccountChange():
            return entry.user
        case Credit():
            return entry.host
        case _:
            assert_never(entry)


def _grant(ts: Any, key: Any, user: Any, coins: Any, reason: Any, operator: Any) -> Grant:
    return Grant(ts, key, user.decode(), coins, reason.decode(), operator.decode())


def _purchase(ts: Any, key: Any, user: Any, order: Any, *coins: Any) -> Purchase:
    return Purchase(ts, key, user.decode(), order.decode(), *coins)


def _reversal(ts: Any, key: Any, user: Any, order: Any, *coins: Any) -> Reversal:
    return Reversal(ts, key, user.decode(), order.decode(), *coins)


def _debit(ts: Any, key: Any, user: Any, room: Any, host: Any, gift: Any, gifts: Any, coins: Any) -> Debit:
    return Debit(ts, key, user.decode(), room.decode(), host.decode(), gift.decode(), gifts, coins)


def _credit(ts: Any, key: Any, user: Any, room: Any, host: Any, *numbers: Any) -> Credit:
    return Credit(ts, key, user.decode(), room.decode(), host.decode(), *numbers)


def _account(ts: Any, key: Any, user: Any, what: Any, value: Any, by: Any) -> AccountChange:
    return AccountChange(ts, key, user.decode(), what.decode(), value.decode(), by.decode())


_READERS: Final[dict[bytes, Callable[..., Entry]]] = {
    b"grant": _grant,
    b"purchase": _purchase,
    b"reversal": _reversal,
    b"debit": _debit,
    b"credit": _credit,
    b"account": _account,
}


def parse_entries(data: bytes) -> Iterator[Entry]:
    """The entries of one stream item. Raises one of :data:`UNREADABLE` for what is none."""
    unpacker = msgpack.Unpacker(raw=True, use_list=False, max_buffer_size=0)
    unpacker.feed(data)
    for kind, *values in unpacker:
        yield _READERS[kind](*values)


def plausible(entry: Entry) -> bool:
    """Whether an entry has a key and numbers such as the scripts write."""
    amounts: tuple[Any, ...]
    match entry:
        case Grant():
            amounts = (entry.coins,)
        case Purchase():
            amounts = (entry.paid, entry.bonus + 1, entry.settled + 1)
        case Reversal():
            amounts = tuple(abs(coins) + 1 for coins in (entry.paid, entry.bonus, entry.debt))
        case Debit():
            amounts = (entry.gifts, entry.coins)
        case Credit():
            amounts = (entry.seq, entry.coins, entry.diamonds + 1, entry.numerator, entry.denominator)
        case AccountChange():
            amounts = ()
        case _:
            assert_never(entry)
    if type(entry.key) is not bytes or len(entry.key) != 16:
        return False
    return all(type(amount) is int and 1 <= amount <= MAX_AMOUNT for amount in amounts)
