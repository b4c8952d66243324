"""The one reader of the ledger streams: what it yields, in which order, and how much of it at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Disconnected

from gifting.ledger import stream
from gifting.ledger.entries import Credit, Debit, Entry, Grant, owner
from gifting.ledger.stream import BrokenEntry, Record, Span, read_items, read_ledger
from gifting.model.packing import pack

KEY = bytes(range(16))


def grant(user: str, coins: int = 1) -> bytes:
    return pack(("grant", 1, KEY, user, coins, "bought", "operator"))


async def read(redis: Redis, *bases: str, **more: Any) -> list[Record]:
    return [record async for record in read_ledger(redis, dict.fromkeys(bases, more.pop("span", Span())), **more)]


def coins_of(record: Record) -> int:
    assert isinstance(record.entry, Grant)
    return record.entry.coins


class Counted:
    """A client that keeps how many items and bytes each page had."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.pages: list[tuple[int, int]] = []

    async def xrange(self, *args: Any, **more: Any) -> Any:
        page = await self._redis.xrange(*args, **more)
        self.pages.append((len(page), sum(len(fields[b"e"]) for _, fields in page)))
        return page


async def test_entries_of_all_kinds_with_their_places(redis_client: Redis) -> None:
    debit = pack(("debit", 2, KEY, "ann", "r", "host", "spark", 3, 6))
    credit = pack(("credit", 2, KEY, "ann", "r", "host", 7, 6, 3000, 500, 1))
    await redis_client.xadd("a:ledger", {"e": grant("ann", 9)}, id="1-0")
    await redis_client.xadd("a:ledger", {"e": debit + debit}, id="5-1")
    await redis_client.xadd("b:ledger", {"e": credit}, id="5-0")
    paid = Debit(2, KEY, "ann", "r", "host", "spark", 3, 6)
    expected: Sequence[tuple[str, str, Entry]] = [
        ("a", "1-0", Grant(1, KEY, "ann", 9, "bought", "operator")),
        ("b", "5-0", Credit(2, KEY, "ann", "r", "host", 7, 6, 3000, 500, 1)),
        ("a", "5-1", paid),
        ("a", "5-1", paid),
    ]
    assert await read(redis_client, "a", "b", "c") == expected


async def test_partitions_are_merged_by_time(redis_client: Redis) -> None:
    for number in range(1, 61):
        name, item_id = f"{'abc'[number % 3]}:ledger", f"{number // 2}-{number}"
        await redis_client.xadd(name, {"e": grant("ann", number)}, id=item_id)
    found = await read(redis_client, "a", "b", "c")
    assert [coins_of(record) for record in found] == list(range(1, 61))


@pytest.mark.parametrize(
    ("span", "coins"),
    [
        (Span(), [1, 2, 3, 4]),
        (Span.after("0-0"), [1, 2, 3, 4]),
        (Span.after("10-0"), [2, 3, 4]),
        (Span(last="10-1"), [1, 2]),
        (Span("10", "10"), [1, 2]),
        (Span("11", "20"), [3]),
        (Span.after("30-0"), []),
    ],
)
async def test_a_span_of_ids_or_times(redis_client: Redis, span: Span, coins: list[int]) -> None:
    for number, item_id in enumerate(("10-0", "10-1", "20-0", "30-0"), 1):
        await redis_client.xadd("a:ledger", {"e": grant("ann", number)}, id=item_id)
    assert [coins_of(record) for record in await read(redis_client, "a", span=span)] == coins


@pytest.mark.parametrize("size", [10, 1_000, 100_000, 700_000])
async def test_a_page_is_bounded_in_bytes(redis_client: Redis, size: int) -> None:
    items = min(4_000_000 // size, 3000)
    pipe = redis_client.pipeline(transaction=False)
    for _ in range(items):
        pipe.xadd("a:ledger", {"e": grant("x" * size)})
    await pipe.execute()
    counted = Counted(redis_client)
    assert len(await read(counted, "a")) == items  # type: ignore[arg-type]
    (first, _), *others = counted.pages
    assert first <= stream.PAGE_FIRST
    assert max((count for count, _ in others), default=0) <= stream.PAGE_ITEMS
    assert max((total for _, total in others), default=0) <= max(2 * stream.PAGE, size + 100)
    assert len(others) <= 10 + items * max(size, 100) // (stream.PAGE // 4), "and pages are filled"


async def test_items_as_bytes_are_what_is_stored(redis_client: Redis) -> None:
    """An archive keeps them; it needs no kind of entry to be known."""
    stored = [b"", pack(("refund", 1)), grant("ann")]
    for data in stored:
        await redis_client.xadd("a:ledger", {"e": data})
    await redis_client.xadd("a:ledger", {"f": b"a stranger's"})
    assert [item.data async for item in read_items(redis_client, {"a": Span()})] == [*stored, None]


@pytest.mark.parametrize(
    "broken",
    [
        {"e": pack(("refund", 1, KEY, "ann", "r", "host", 7, 6, 3000, 500, 1))},
        {"e": pack(("credit", 1, KEY, "ann", "r", "host", -1, 6, 3000, 500, 1))},
        {"e": pack(("grant", 1, KEY[1:], "ann", 1, "", ""))},
        {"e": b"\xc1"},
        {"e": grant("ann")[:-1] + b"\x99"},
        {"f": b""},
    ],
)
async def test_what_is_no_entry_is_told_and_taken_for_none(redis_client: Any, broken: dict[str, bytes]) -> None:
    """A new kind of entry neither, though it has all that a credit has."""
    await redis_client.xadd("a:ledger", {"e": grant("ann")}, id="1-0")
    await redis_client.xadd("a:ledger", broken, id="2-0")
    await redis_client.xadd("a:ledger", {"e": grant("bob")}, id="3-0")
    with pytest.raises(BrokenEntry, match="a:ledger 2-0"):
        await read(redis_client, "a")
    told: list[str] = []
    found = await read(redis_client, "a", broken=lambda base, item_id, why: told.append(f"{base} {item_id}"))
    assert [record.item_id for record in found] == ["1-0", "3-0"]
    assert told == ["a 2-0"]


async def test_only_what_is_wanted_is_looked_into(redis_client: Redis) -> None:
    for user in ("ann", "bob"):
        await redis_client.xadd("a:ledger", {"e": grant(user)})
    await redis_client.xadd("a:ledger", {"e": b"\xc1"})
    found = await read(redis_client, "a", wanted=lambda data: b"bob" in data)
    assert [owner(record.entry) for record in found] == ["bob"]


async def test_a_reader_leaves_redis_alone_for_as_long_as_it_is_told(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    for _ in range(40):
        await redis_client.xadd("a:ledger", {"e": grant("ann")})
    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert len(await read(redis_client, "a", rest=3.0)) == 40
    pages = pauses[:]
    assert len(pages) >= 3
    assert min(pages) > 0
    await read(redis_client, "a")
    assert pauses == pages


async def test_a_redis_that_goes_away_is_not_the_end_of_the_ledger(redis_client: Redis) -> None:
    class Leaving:
        def __init__(self) -> None:
            self.calls = 0

        async def xrange(self, *args: Any, **more: Any) -> Any:
            self.calls += 1
            if self.calls == 2:
                raise Disconnected
            return await redis_client.xrange(*args, **more)

    for _ in range(10):
        await redis_client.xadd("a:ledger", {"e": grant("ann")})
    reading: AsyncIterator[Record] = read_ledger(Leaving(), {"a": Span()})
    with pytest.raises(Disconnected):
        assert len([record async for record in reading]) < 10
