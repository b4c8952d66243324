"""The ledger stream, entry by entry: what every balance can be rebuilt from.

One item of a partition's stream holds the entries of one call, one msgpack array after another:

- ``grant``: ts, key, user, coins, reason, operator — coins are issued to a user of this partition;
- ``debit``: ts, key, user, room, host, gift, gifts, coins — a user of this partition pays;
- ``credit``: ts, key, user, room, host, seq, coins, diamonds, rate numerator, rate denominator — a host of this
  partition earns; the remainder of ``coins × numerator / denominator`` is carried, per host and denominator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, assert_never

import msgpack
from msgpack.exceptions import UnpackException

from gifting.model.economy import MAX_AMOUNT

UNREADABLE: Final = (UnpackException, ArithmeticError, LookupError, TypeError, ValueError)
"""What reading bytes that something else has written may raise."""


class Grant(NamedTuple):
    ts: int
    key: bytes
    user: str
    coins: int
    reason: str
    operator: str


class Debit(NamedTuple):
    ts: int
    key: bytes
    user: str
    room: str
    host: str
    gift: str
    gifts: int
    coins: int


class Credit(NamedTuple):
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


Entry = Grant | Debit | Credit
_KINDS: Final[dict[bytes, type[Any]]] = {b"grant": Grant, b"debit": Debit, b"credit": Credit}
_KEY: Final = 1


def parse_entries(data: bytes) -> Iterator[Entry]:
    """The entries of one stream item. Raises one of :data:`UNREADABLE` for what is none."""
    unpacker = msgpack.Unpacker(raw=True, use_list=False, max_buffer_size=0)
    unpacker.feed(data)
    for kind, *values in unpacker:
        yield _KINDS[kind](
            *(
                value.decode() if isinstance(value, bytes) and place != _KEY else value
                for place, value in enumerate(values)
            )
        )


def plausible(entry: Entry) -> bool:
    """Whether an entry has a key, names and numbers such as the scripts write."""
    texts: tuple[Any, ...]
    amounts: tuple[Any, ...]
    match entry:
        case Grant():
            texts, amounts = (entry.user, entry.reason, entry.operator), (entry.coins,)
        case Debit():
            texts, amounts = (entry.user, entry.room, entry.host, entry.gift), (entry.gifts, entry.coins)
        case Credit():
            texts = (entry.user, entry.room, entry.host)
            amounts = (entry.seq, entry.coins, entry.diamonds + 1, entry.numerator, entry.denominator)
        case _:
            assert_never(entry)
    return (
        type(entry.key) is bytes
        and len(entry.key) == 16
        and all(type(text) is str for text in texts)
        and all(type(amount) is int and 1 <= amount <= MAX_AMOUNT for amount in amounts)
    )
