"""The ledger stream, entry by entry: what every balance can be rebuilt from.

One item of a partition's stream holds the entries of one call, one msgpack array after another:

- ``grant``: ts, key, user, coins, reason, operator — coins are issued to a user of this partition;
- ``debit``: ts, key, user, room, host, gift, gifts, coins — a user of this partition pays;
- ``credit``: ts, key, user, room, host, seq, coins, diamonds, rate numerator, rate denominator — a host of this
  partition earns; the remainder of ``coins × numerator / denominator`` is carried, per host and denominator.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import msgpack

from gifting.ledger.connect import BinaryRedis

PAGE = 500
"""Stream items read at a time."""


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
_KINDS: dict[bytes, Any] = {b"grant": Grant, b"debit": Debit, b"credit": Credit}
_KEY = 1


def parse_entries(data: bytes) -> Iterator[Entry]:
    unpacker = msgpack.Unpacker(raw=True, use_list=False, max_buffer_size=0)
    unpacker.feed(data)
    for kind, *values in unpacker:
        yield _KINDS[kind](
            *(
                value.decode() if isinstance(value, bytes) and place != _KEY else value
                for place, value in enumerate(values)
            )
        )


async def read_ledger(redis: BinaryRedis, base: str, last: str = "+") -> AsyncIterator[Entry]:
    """All entries of a partition in order, up to the stream item ``last``."""
    start = "-"
    while page := await redis.xrange(f"{base}:ledger", min=start, max=last, count=PAGE):
        for item_id, fields in page:
            for entry in parse_entries(fields[b"e"]):
                yield entry
            start = f"({item_id.decode()}"
