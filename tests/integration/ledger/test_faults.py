"""Failures between any two lines: after each, the books hold and every acknowledged gift is there exactly once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gifting import errors
from gifting.config import load
from gifting.ledger.audit import audit
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.packing import unpack
from gifting.model.values import RoomRef, Sender
from tests.support.keys import new_key
from tests.support.proxy import Proxy


@asynccontextmanager
async def ledger_at(url: str, **flags: Any) -> AsyncIterator[Ledger]:
    ledger = Ledger(url, load(flags, environ={}), load_catalog())
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[EmbeddedRedis]:
    redis = EmbeddedRedis(tmp_path / "data")
    await redis.start()
    yield redis
    await redis.stop()


SMALL = {"batch_max": 4}
"""Full batches, so that two calls are in flight."""


async def set_up(ledger: Ledger, senders: int = 16, coins: int = 10_000) -> tuple[RoomRef, list[Sender]]:
    room = await ledger.rooms.open("r1", "host", "Host", "")
    people = [
        ledger.gifts.sender(f"u{n}", {"id": f"u{n}", "name": "", "picture": "", "level": 0}) for n in range(senders)
    ]
    for sender in people:
        await ledger.wallets.grant(sender.id, coins, new_key(), "test", "op")
    return room, people


async def insist(ledger: Ledger, sender: Sender, room: RoomRef, key: str) -> Any:
    """As a client does: the same key again until the outcome is known."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await ledger.gifts.send(sender, room, "spark", key)
            except errors.GiftingError as error:
                if not error.temporary:
                    raise


async def load_with(ledger: Ledger, gifts: int, fault: Callable[[], Any], at: int) -> list[int]:
    """Send gifts from all senders; at the ``at``-th acknowledgement the fault happens. The acknowledged seqs."""
    room, people = await set_up(ledger)
    seqs: list[int] = []
    faulted: list[asyncio.Task[Any]] = []

    async def send(sender: Sender) -> None:
        for _ in range(gifts // len(people)):
            seqs.append((await insist(ledger, sender, room, new_key())).seq)
            if len(seqs) == at:
                faulted.append(asyncio.ensure_future(fault()))

    await asyncio.gather(*(send(sender) for sender in people))
    await asyncio.gather(*faulted)
    return seqs


async def check_books(ledger: Ledger, seqs: list[int]) -> None:
    report = await audit(ledger.redis, ledger.keys)
    assert report.clean, report.lines()
    assert len(set(seqs)) == len(seqs) == report.gifts
    logged = [
        event["seq"]
        async for batch in ledger.rooms.batches(await ledger.rooms.find("r1"), 0)
        for entry in batch.entries()
        if (event := unpack(batch.events[entry.start : entry.end]))["count"]
    ]
    assert sorted(seqs) == logged


async def test_redis_killed_in_mid_load(embedded: EmbeddedRedis) -> None:
    async def kill() -> None:
        assert embedded.pid is not None
        os.kill(embedded.pid, signal.SIGKILL)

    async with ledger_at(embedded.url, **SMALL) as ledger:
        seqs = await load_with(ledger, 400, kill, 100)
        await check_books(ledger, seqs)
    assert embedded.restarts == 1


async def test_scripts_forgotten_in_mid_load(redis_url: str, redis_client: Any) -> None:
    async with ledger_at(redis_url, **SMALL) as ledger:
        seqs = await load_with(ledger, 400, redis_client.script_flush, 100)
        await check_books(ledger, seqs)


@pytest.mark.one_redis("its one connection is cut")
async def test_a_lost_reply_is_asked_again_and_not_charged_again(redis_url: str, redis_client: Any) -> None:
    """The connection breaks when a call has been made and its reply is under way."""
    async with ledger_at(redis_url, ledger_timeout=5, **SMALL) as ledger:

        async def break_connection() -> None:
            await redis_client.client_kill_filter(_type="normal", skipme=True)

        seqs = await load_with(ledger, 400, break_connection, 100)
        await check_books(ledger, seqs)


@pytest.mark.one_redis("its one connection is cut")
async def test_a_reply_that_redis_gave_and_a_proxy_lost(redis_url: str, redis_client: Any) -> None:
    """Redis has run the call; what it said never arrives. Asked again with the same keys, it tells the same."""
    async with Proxy(redis_url) as proxy, ledger_at(proxy.url) as ledger:
        room, (sender, *_) = await set_up(ledger)
        seqs = [(await insist(ledger, sender, room, new_key())).seq]  # the connection is up
        for _ in range(3):
            proxy.swallowed.clear()
            proxy.mute = True
            sending = asyncio.create_task(insist(ledger, sender, room, new_key()))
            await proxy.swallowed.wait()
            proxy.mend()
            proxy.cut()
            result = await sending
            assert result.duplicate
            seqs.append(result.seq)
        assert seqs == [1, 2, 3, 4]
    async with ledger_at(redis_url) as ledger:
        await check_books(ledger, seqs)


async def test_a_redis_that_stalls_leaves_the_outcome_unknown_then_resolves(embedded: EmbeddedRedis) -> None:
    assert embedded.pid is not None
    async with ledger_at(embedded.url) as ledger:
        room, (sender, *_) = await set_up(ledger)
        key = new_key()
        os.kill(embedded.pid, signal.SIGSTOP)
        try:
            with pytest.raises(errors.Unavailable):
                await ledger.gifts.send(sender, room, "spark", key)
        finally:
            os.kill(embedded.pid, signal.SIGCONT)
        result = await insist(ledger, sender, room, key)
        assert result.seq == 1
        assert await ledger.wallets.read(sender.id) == (9_999, 0)
        await check_books(ledger, [result.seq])


async def test_no_memory_left_refuses_and_charges_nothing(embedded: EmbeddedRedis) -> None:
    async with ledger_at(embedded.url) as ledger:
        room, (sender, *_) = await set_up(ledger)
        await ledger.redis.config_set("maxmemory", "1mb")
        with pytest.raises(errors.LedgerFull):
            await ledger.gifts.send(sender, room, "spark", new_key())
        await ledger.redis.config_set("maxmemory", "0")
        await check_books(ledger, [])
        assert await ledger.wallets.read(sender.id) == (10_000, 0)


async def test_a_full_batch_does_not_wait_for_the_call_before_it(redis_url: str, redis_client: Any) -> None:
    """And one that is not full does: what comes while a call is in flight shares the next."""
    async with ledger_at(redis_url, batch_max=4) as ledger:
        room, (sender, *_) = await set_up(ledger)
        for gifts, calls in ((8, 2), (3, 1), (10, 3)):
            before = ledger.batcher.counts.batches
            results = await asyncio.gather(*(ledger.gifts.send(sender, room, "spark", new_key()) for _ in range(gifts)))
            await ledger.batcher.drain()
            assert ledger.batcher.counts.batches - before == calls
            assert len({result.seq for result in results}) == gifts


async def test_a_queue_that_is_full_refuses(redis_url: str, redis_client: Any) -> None:
    async with ledger_at(redis_url, batch_queue=4) as ledger:
        room, (sender, *_) = await set_up(ledger)
        sent = [asyncio.create_task(ledger.gifts.send(sender, room, "spark", new_key())) for _ in range(10)]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        assert sum(isinstance(outcome, errors.Overloaded) for outcome in outcomes) == 6
        await check_books(ledger, [outcome.seq for outcome in outcomes if not isinstance(outcome, BaseException)])


async def test_every_streak_ends_once_however_many_sweep(redis_url: str, redis_client: Any) -> None:
    clock = [1_800_000_000_000]

    def key() -> str:
        return new_key(clock[0])

    ledgers = [Ledger(redis_url, load(environ={}), load_catalog(), lambda: str(clock[0])) for _ in range(3)]
    for ledger in ledgers:
        await ledger.start()
    try:
        room = await ledgers[0].rooms.open("r1", "host", "Host", "")
        for user in ("ann", "bob"):
            await ledgers[0].wallets.grant(user, 100, key(), "test", "op")
            sender = ledgers[0].gifts.sender(user, {"id": user, "name": "", "picture": "", "level": 0})
            assert (await ledgers[0].gifts.send(sender, room, "spark", key())).repeat_count == 1
            assert (await ledgers[0].gifts.send(sender, room, "spark", key())).repeat_count == 2
        clock[0] += 3000
        sweepers = [ledger.sweeper for ledger in ledgers]
        assert [ended for ended, _ in await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))] == [0, 0, 0]
        clock[0] += 1
        assert sum(ended for ended, _ in await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))) == 2
        report = await audit(ledgers[0].redis, ledgers[0].keys)
        assert report.clean, report.lines()
        assert (await ledgers[0].rooms.snapshot(room)).seq == 6
    finally:
        for ledger in ledgers:
            await ledger.stop()


async def test_the_keys_of_a_partition_share_a_slot(cluster_redis_url: str) -> None:
    """On a cluster-mode Redis a key that strays from its partition's tag is an error."""
    async with ledger_at(cluster_redis_url, partitions=1, key_prefix="one") as ledger:
        seqs = await load_with(ledger, 40, lambda: asyncio.sleep(0), 10)
        await check_books(ledger, seqs)
        room = await ledger.rooms.find("r1")
        assert await ledger.rooms.presence(room, "node", 3) == 3
        assert len(await ledger.rooms.top(room, 5)) == 5
        await ledger.sweeper.sweep()
        await ledger.rooms.end(room)
        assert (await ledger.rooms.snapshot(room)).state == "ended"
        with pytest.raises(errors.RoomEnded):
            await ledger.rooms.open("r1", "host", "", "")
