"""What is missing between two partitions, and the archive alone still has, is credited from there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from gifting.ledger.cluster.owed import read_owed
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.trimming import trim
from tests.support.archiver import Follower, is_caught_up
from tests.support.clusters import UNGUARDED, steady_cluster
from tests.support.commands import run_command
from tests.support.lagging import let_one_lag
from tests.support.outboxes import gifts_in_outboxes, uncredited
from tests.support.relays import keep_nothing, nobody_credits
from tests.support.shop import Shop, shop_at
from tests.support.waiting import until, until_is

pytestmark = [pytest.mark.attack, pytest.mark.timeout(400)]

DISK = {"GIFTING_DURABILITY": "disk", "GIFTING_ALLOW_UNSAFE_REDIS": "1"}
"""Masters are trusted, so what the only replica of one lacks may be lost."""

COST = 500
"""Diamonds of a gift, in units of which one is a thousandth."""

FAR = str(2**45)
"""A time at which all is old."""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    """Who takes over is asked to: the commands beside it keep the machine busy."""
    async with steady_cluster(settings=UNGUARDED) as cluster:
        yield cluster


@pytest.fixture
async def shop(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Whose outboxes keep nothing."""
    keep_nothing(monkeypatch)
    async with shop_at(cluster.url, redis=cluster.url, durability="disk", streak_window=3.0) as shop:
        yield shop


async def test_gifts_that_the_archive_alone_has_are_credited(
    cluster: EmbeddedCluster, shop: Shop, archive_url: str, tmp_path: Path
) -> None:
    """Debited while a destination was away, and credited much later, there alone where that was lost again."""
    redis, keys, data = shop.ledger.redis, shop.ledger.keys, tmp_path / "data"
    archiver = Follower(cluster.url, archive_url, data, DISK)
    typed = partial(run_command, cwd=tmp_path, **DISK, GIFTING_DATA_DIR=str(data))
    shop.all_to_all()
    await shop.everyone()
    await shop.ledger.flush(5)
    with nobody_credits(shop):
        senders, rooms = await apart(cluster, shop)
        lost = await debited(shop, senders, rooms)
        async with archiver.running():
            await until(lambda: is_caught_up(redis, keys))
        assert (await trim(redis, keys, 0, FAR)).items
        lagging = await let_one_lag(cluster, slot_of(shop.rooms[rooms[0]].base))
    await until_is(lambda: uncredited(shop.ledger), 0)
    paid = COST * (64 + len(lost) + await give_elsewhere(shop, senders, rooms))
    assert await diamonds(shop) == paid
    await lagging.takes_over()
    await until(lambda: shop.relay.holes)
    assert await diamonds(shop) == paid - COST * len(lost)

    mend = partial(typed, "partitions", "mend", "--redis", cluster.url)
    without = await mend("--yes")
    assert (without.status, "archive_needed" in without.complaints) == (2, True)
    asked = await mend("--archive", archive_url)
    assert (asked.status, "not_confirmed" in asked.complaints) == (2, True)
    assert sorted(line.split()[3] for line in asked.out.splitlines() if line[:1] == " ") == sorted(lost)
    done = await mend("--archive", archive_url, "--yes")
    assert (done.status, done.out.splitlines()[-1]) == (0, f"{len(lost)} gifts are credited.")
    assert await diamonds(shop) == paid
    await until(lambda: not shop.relay.holes)

    async with archiver.running():
        await until(lambda: is_caught_up(redis, keys))
    audited = await typed("audit", "--redis", cluster.url, "--archive", archive_url)
    assert audited.status == 0, audited


async def test_what_is_missing_is_credited_before_an_archive_that_is_ahead_is_put_right(
    cluster: EmbeddedCluster, shop: Shop, tmp_path: Path
) -> None:
    """It has credits that a TAKEOVER has taken back."""
    redis, keys, data, file = shop.ledger.redis, shop.ledger.keys, tmp_path / "data", tmp_path / "archive.db"
    url = f"sqlite:///{file}"
    archiver = Follower(cluster.url, url, data, DISK)
    typed = partial(run_command, cwd=tmp_path, **DISK, GIFTING_DATA_DIR=str(data))
    with nobody_credits(shop):
        senders, rooms = await apart(cluster, shop)
        lost = await debited(shop, senders, rooms)
        async with archiver.running():
            await until(lambda: is_caught_up(redis, keys))
        backup = file.read_bytes()
        lagging = await let_one_lag(cluster, slot_of(shop.rooms[rooms[0]].base))
    await until_is(lambda: uncredited(shop.ledger), 0)
    paid = COST * (len(lost) + await give_elsewhere(shop, senders, rooms))
    async with archiver.running():
        await until(lambda: is_caught_up(redis, keys))
    await lagging.takes_over()
    await until(lambda: shop.relay.holes)

    refused = await typed("archive", "--redis", cluster.url, "--archive", url)
    assert (refused.status, "bad_archive" in refused.complaints, "It is ahead" in refused.complaints) == (2, True, True)
    done = await typed("partitions", "mend", "--redis", cluster.url, "--archive", url, "--yes")
    assert (done.status, done.out.splitlines()[-1]) == (0, f"{len(lost)} gifts are credited.")
    assert await diamonds(shop) == paid

    file.write_bytes(backup)
    async with archiver.running():
        await until(lambda: is_caught_up(redis, keys))
    audited = await typed("audit", "--redis", cluster.url, "--archive", url)
    assert audited.status == 0, audited


async def give_elsewhere(shop: Shop, senders: list[int], rooms: list[int]) -> int:
    """Gifts of these senders, after which their outboxes have nothing of what went to these rooms; how many."""
    elsewhere = next(room for room in range(len(shop.rooms)) if room not in rooms)
    for sender in senders:
        shop.send(sender, elsewhere)
    await until(lambda: is_kept_by_none(shop, senders, elsewhere))
    return len(senders)


async def apart(cluster: EmbeddedCluster, shop: Shop) -> tuple[list[int], list[int]]:
    """Rooms on a master, and senders on others."""
    master = await cluster.owner(slot_of(shop.rooms[0].base))
    senders = [at for at, one in enumerate(shop.senders) if await cluster.owner(slot_of(one.base)) is not master]
    return senders, [at for at, room in enumerate(shop.rooms) if await cluster.owner(slot_of(room.base)) is master]


async def debited(shop: Shop, senders: list[int], rooms: list[int]) -> list[str]:
    """Keys of gifts, in several calls, as the ledger has them."""
    keys = []
    for _ in range(3):
        there = await gifts_in_outboxes(shop.ledger)
        sent = [shop.send(sender, room) for sender in senders for room in rooms]
        await until_is(lambda: gifts_in_outboxes(shop.ledger), there + len(sent))
        keys += [key.replace("-", "") for key in sent]
    return keys


async def is_kept_by_none(shop: Shop, senders: list[int], elsewhere: int) -> bool:
    """Whether outboxes of senders have nothing but what they gave elsewhere."""
    number = shop.ledger.keys.bases.index(shop.rooms[elsewhere].base)
    bases = {shop.senders[sender].base for sender in senders}
    items = read_owed([item for base in bases for item in await shop.ledger.redis.xrange(f"{base}:outbox")])
    return all([to for to, _ in one.blobs] == [number] for one in items)


async def diamonds(shop: Shop) -> int:
    return sum([(await shop.ledger.wallets.read(room.host)).diamonds for room in shop.rooms])
