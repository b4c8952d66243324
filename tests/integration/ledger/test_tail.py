"""The ends of all streams, in pages: bounded in bytes, and who has more gets more of them."""

from __future__ import annotations

from redis.asyncio import Redis

from gifting.ledger.keys import Keys
from gifting.ledger.tail import PAGE_LEAST, PAGES, Tail

KEYS = Keys("gifting", 16)
SIZE = 4096


async def fill(redis: Redis, base: str, count: int) -> None:
    pipe = redis.pipeline(transaction=False)
    for _ in range(count):
        pipe.xadd(f"{base}:ledger", {"e": bytes(SIZE)})
    await pipe.execute()


async def pages(redis: Redis) -> list[dict[str, int]]:
    """How many items of each partition came, page by page, until there were no more."""
    tail, at, found = Tail(redis, KEYS.bases), dict.fromkeys(KEYS.bases, "0-0"), []
    while True:
        read = await tail.read(at)
        at |= {base: items[-1][0] for base, items in read.items.items()}
        found.append({base: len(items) for base, items in read.items.items()})
        if not read.full:
            return found


async def test_one_with_much_has_the_page_for_itself(redis_client: Redis) -> None:
    """As the partition of a host to whom all give."""
    hot, *others = KEYS.bases
    await fill(redis_client, hot, 2000)
    for base in others:
        await fill(redis_client, base, 2)
    found = await pages(redis_client)
    assert sum(page.get(hot, 0) for page in found) == 2000
    assert max(page.get(hot, 0) for page in found) == PAGES // SIZE
    assert len(found) < 14


async def test_many_with_much_share_it(redis_client: Redis) -> None:
    for base in KEYS.bases:
        await fill(redis_client, base, 200)
    found = await pages(redis_client)
    assert [sum(page.get(base, 0) for page in found) for base in KEYS.bases] == [200] * 16
    assert max(sum(page.values()) for page in found) * SIZE <= PAGES


async def test_one_that_had_much_asks_for_less_when_it_has_little(redis_client: Redis) -> None:
    """So that pages of all are bounded when many have much at once, after they had it one by one."""
    tail, at = Tail(redis_client, KEYS.bases), dict.fromkeys(KEYS.bases, "0-0")
    for base in KEYS.bases:
        await fill(redis_client, base, 600)
        for _ in range(12):
            read = await tail.read(at)
            at |= {base: items[-1][0] for base, items in read.items.items()}
    for base in KEYS.bases:
        await fill(redis_client, base, 300)
    read = await tail.read(at)
    assert {len(items) for items in read.items.values()} == {PAGE_LEAST}
