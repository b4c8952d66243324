"""What relays take for missing between two partitions: nothing that is on its way, or may be of another history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gifting.health import Health
from gifting.ledger.cluster.credit_call import Blob, Credited
from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.owed import Marks, Reached
from gifting.ledger.cluster.reach import START, Reach, Stand
from gifting.ledger.cluster.relay import Relay
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.tasks import end
from tests.support.clusters import UNGUARDED, steady_cluster
from tests.support.outboxes import uncredited
from tests.support.relays import another_relay, die_after_debits, nobody_credits
from tests.support.shop import Shop, shop_at
from tests.support.waiting import until_is

pytestmark = pytest.mark.attack

FAR = 2**45
"""A time before which all was debited (ms)."""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with steady_cluster(settings=UNGUARDED) as cluster:
        yield cluster


async def credited(shop: Shop) -> int:
    return sum([(await shop.ledger.wallets.read(room.host)).diamonds // 500 for room in shop.rooms])


async def test_what_is_on_its_way_is_not_missing(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Several relays credit all, and keep nothing of it; one destination is silent for a while."""
    monkeypatch.setattr(Keeping, "learn", lambda *_: None)
    monkeypatch.setattr("gifting.ledger.cluster.trimmer.SLACK", 0)
    async with shop_at(cluster.url, ledger_timeout=20.0) as shop:
        shop.relay._keeping.ms = 0
        die_after_debits(shop)
        master = await cluster.owner(slot_of(shop.rooms[0].base))
        tasks = [asyncio.create_task(another_relay(shop).run(Health())) for _ in range(2)]
        for wave in range(12):
            shop.all_to_all()
            if wave in (4, 6):
                (master.pause if wave == 4 else master.resume)()
            await asyncio.sleep(0.3)  # any moment
        await until_is(lambda: credited(shop), 12 * 64)
        await until_is(lambda: uncredited(shop.ledger), 0)
        await end(tasks)
        assert (await shop.check()).gifts == 12 * 64
    assert "missing" not in caplog.text


async def test_what_may_be_of_another_history_or_is_not_known_is_not_missing(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url) as shop:
        shop.all_to_all()
        await shop.everyone()
        await shop.ledger.flush(5)
        relay = another_relay(shop)
        await relay.round()
        bases = shop.ledger.keys.bases
        marks, source = relay._looks.marks, bases.index(shop.senders[0].base)
        epoch = relay._looks.last[source].stand.epoch
        owners = [await cluster.owner(slot_of(base)) for base in bases]
        rooms = [bases.index(room.base) for room in shop.rooms]
        number = next(number for number in rooms if owners[number].id != owners[source].id)
        mark = marks[number][source]
        assert not await looked(relay, source, number, epoch - 1, marks)
        before = {**marks, number: {source: mark._replace(seq=mark.seq - 1)}}
        assert not await looked(relay, source, number, epoch, before), "it was credited meanwhile"
        owners[number].pause()
        assert not await looked(relay, source, number, epoch, marks)
        owners[number].resume()
        assert await looked(relay, source, number, epoch, marks)
        relay.holes.clear()
        await relay._helper.help(lacking(source, number, epoch, marks), FAR, marks)
        assert relay.holes.keys() == {(source, number)}, "by all of its outbox"


async def test_what_can_not_be_credited_now_is_not_missing(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop_at(cluster.url) as shop:
        with nobody_credits(shop):
            relay = another_relay(shop)
            said = relay._helper._said.credit

            async def timed_out(number: int, blobs: Sequence[Blob]) -> Credited:
                if blobs:
                    raise TimeoutError
                return await said(number, blobs)

            monkeypatch.setattr(relay._helper._said, "credit", timed_out)
            shop.send(0, 0)
            await until_is(lambda: uncredited(shop.ledger), 1)
            await relay._looks.take()
            marks, source = relay._looks.marks, shop.ledger.keys.bases.index(shop.senders[0].base)
            reach = Reach(source)
            reach.see(relay._looks.last[source].stand, marks)
            await relay._helper.help(reach, FAR, marks)
            assert not relay.holes
            assert reach.stuck


async def looked(relay: Relay, source: int, number: int, epoch: int, marks: Marks) -> bool:
    """Whether it is named, when a pass has ended with these marks, and more was given than there is."""
    reach = lacking(source, number, epoch, marks)
    reach.page(marks)
    await relay._helper._look_for_missing(reach, 0)
    return bool(relay.holes)


def lacking(source: int, number: int, epoch: int, marks: Marks) -> Reach:
    """A source that has given two numbers more than that."""
    reach, mark = Reach(source), marks[number][source]
    reach.see(Stand(epoch, START, {number: Reached(mark.seq + 2, mark.epoch)}), marks)
    return reach
