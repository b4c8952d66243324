"""What the batcher is given for a gift: the same fields whether or not the like of it was given before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest

from gifting import errors
from gifting.config import load
from gifting.ledger.batcher import Batcher
from gifting.ledger.commit import PendingCommit
from gifting.ledger.gifts import ORDERS_MAX
from gifting.ledger.keys import BUCKET_MS
from gifting.ledger.ledger import Ledger
from gifting.model import events
from gifting.model.catalog import load_catalog
from gifting.model.money import content_digest, key_time, make_key, parse_key
from gifting.model.values import RoomRef, Sender

MADE = 1_764_000_000_123


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    """One that is never started: what is submitted stays in the queue."""
    ledger = Ledger("redis://127.0.0.1:1", load({}, environ={}), load_catalog())
    yield ledger
    await ledger.stop()


def ref(ledger: Ledger, room: str) -> RoomRef:
    return RoomRef(room, "host", ledger.keys.base("host"), events.encode_host({"id": "host", "name": "Host"}))


def sender(ledger: Ledger, name: str) -> Sender:
    return ledger.gifts.sender("ann", {"id": "ann", "name": name, "picture": "", "level": 1})


def give(
    ledger: Ledger,
    who: Sender,
    room: RoomRef,
    key: str,
    gift: str = "spark",
    count: int = 1,
    message: str | None = None,
) -> PendingCommit:
    """One gift, and what is queued last then."""
    ledger.gifts.submit(who, room, gift, key, count, message, lambda _: None)
    assert isinstance(ledger.batcher, Batcher)
    queued = list(ledger.batcher._queue)
    return queued[-1]


def fields_of(item: PendingCommit) -> list[Any]:
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(item.fields)
    return list(unpacker)


def expected(who: Sender, room: RoomRef, key: str, gift: str, price: int, count: int, message: str | None) -> list[Any]:
    digest = content_digest(who.id, room.id, gift, str(count), message or "")
    sent = events.encode_sent(count, count * price, message)
    return [b"ann", parse_key(key), key_time(parse_key(key)), digest, count, count * price, who.user, sent, 0, False]


async def test_whatever_was_given_before(ledger: Ledger) -> None:
    """Each is given twice, in every order of two."""
    prices = {gift.id: gift.coins for gift in ledger.catalog}
    known, other = list(prices)[:2]
    ways = [
        (name, room, gift, count, message)
        for name in ("Ann", "Anna")
        for room in ("r1", "r2")
        for gift in (known, other)
        for count in (1, 2)
        for message in (None, "", "hello")
    ]
    for number, (name, room_id, gift, count, message) in enumerate([*ways, *reversed(ways)]):
        who, room, key = sender(ledger, name), ref(ledger, room_id), make_key(MADE + number, bytes(range(10)))
        item = give(ledger, who, room, key, gift, count, message)
        assert fields_of(item) == expected(who, room, key, gift, prices[gift], count, message)
        assert item.sender is not None
        assert item.sender.number == (MADE + number) // BUCKET_MS
        assert room_id.encode() in item.room.keys
        assert item.target is not None
        assert gift.encode() in item.target


async def test_the_earliest_and_the_latest_key(ledger: Ledger) -> None:
    who, room = sender(ledger, "Ann"), ref(ledger, "r1")
    for made in (0, 1, 2**32, 2**48 - 1):
        item = give(ledger, who, room, make_key(made, bytes(10)))
        assert fields_of(item)[2] == made


async def test_what_is_not_in_order_is_not_remembered(ledger: Ledger) -> None:
    who, room, key = sender(ledger, "Ann"), ref(ledger, "r1"), make_key(MADE, bytes(10))
    for _ in range(2):
        unsold = fields_of(give(ledger, who, room, key, gift="nothing"))
        assert unsold == expected(who, room, key, "nothing", 0, 1, None)
        with pytest.raises(errors.BadAmount):
            give(ledger, who, room, key, count=0)
        with pytest.raises(errors.BadKey):
            give(ledger, who, room, "no key")
    assert len(ledger.gifts._orders) == len(ledger.gifts._targets) == 1


async def test_the_oldest_orders_are_forgotten(ledger: Ledger) -> None:
    who, key = sender(ledger, "Ann"), make_key(MADE, bytes(10))
    for number in range(ORDERS_MAX + 1):
        give(ledger, who, ref(ledger, f"r{number}"), key)
    assert len(ledger.gifts._orders) == ORDERS_MAX
    assert (who, ref(ledger, "r0"), "spark", 1) not in ledger.gifts._orders
    assert (who, ref(ledger, f"r{ORDERS_MAX}"), "spark", 1) in ledger.gifts._orders
