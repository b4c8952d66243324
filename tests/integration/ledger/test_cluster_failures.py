"""What fails between two lines of code: each gift ends once, as a result, a certain refusal, or as not known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import pytest

from gifting import errors
from gifting.ledger.cluster import asked
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.moving import move
from gifting.ledger.embedded.node import Node
from gifting.model.values import Result
from tests.support.clusters import UNGUARDED, be_patient, own_cluster, told_when_credited
from tests.support.keys import new_key
from tests.support.shop import COINS, WITHIN, Shop, shop_at
from tests.support.waiting import until

pytestmark = pytest.mark.attack


@pytest.fixture
async def electing() -> AsyncIterator[EmbeddedCluster]:
    """A master that is silent for a second is replaced."""
    async with own_cluster(node_timeout=1.0, settings=UNGUARDED) as cluster:
        yield cluster


@pytest.fixture
async def cluster(electing: EmbeddedCluster) -> EmbeddedCluster:
    """Nobody is replaced, however busy the machine is."""
    await be_patient(electing)
    return electing


class Apart(NamedTuple):
    """A sender and a room of a shop whose masters are different, and these."""

    shop: Shop
    sender: int
    source: Node
    room: int
    to: Node

    async def give(self, key: str = "") -> Result:
        """A gift, and what comes of it."""
        shop = self.shop
        return await shop.ledger.gifts.send(shop.senders[self.sender], shop.rooms[self.room], "spark", key or new_key())

    def send(self) -> str:
        return self.shop.send(self.sender, self.room)

    async def debited(self) -> int:
        """Entries of the outbox of the sender's partition, on its master; credited ones are kept."""
        return int(await self.shop.ledger.redis.xlen(f"{self.shop.senders[self.sender].base}:outbox"))

    async def until_debited(self, count: int) -> None:
        await until(lambda: self._has_debited(count), within=WITHIN)

    async def _has_debited(self, count: int) -> bool:
        return await self.debited() >= count


async def places(cluster: EmbeddedCluster, shop: Shop) -> tuple[int, Node, int, Node]:
    owners = {base: await cluster.owner(slot_of(base)) for base in shop.ledger.keys.bases}
    home = owners[shop.ledger.keys.bases[0]]
    for sender in range(len(shop.senders)):
        for room in range(len(shop.rooms)):
            source, to = owners[shop.senders[sender].base], owners[shop.rooms[room].base]
            if source is not to and home not in (source, to):
                return sender, source, room, to
    raise AssertionError("all are on one master")


async def replaced(cluster: EmbeddedCluster) -> bool:
    """Whether the master that was killed is."""
    return len(await cluster.masters()) == 3


@asynccontextmanager
async def apart(cluster: EmbeddedCluster, **settings: Any) -> AsyncIterator[Apart]:
    """A shop in which the sender has given once, and no call for that is left to go."""
    async with shop_at(cluster.url, **settings) as shop:
        pair = Apart(shop, *await places(cluster, shop))
        await pair.give()
        await shop.ledger.flush(10)
        yield pair


@asynccontextmanager
async def unanswering(node: Node) -> AsyncIterator[None]:
    """It says nothing, and nobody takes over."""
    node.pause()
    try:
        yield
    finally:
        node.resume()


@contextmanager
def known_rooms() -> Iterator[None]:
    """What rooms have said counts, however long ago: they are not asked again."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KEPT", "RENEWED"):
            patch.setattr(asked, name, WITHIN)
        yield


async def test_a_debit_that_no_replica_has_is_not_told_until_one_has(cluster: EmbeddedCluster) -> None:
    async with apart(cluster, ledger_timeout=30.0) as pair:
        shop = pair.shop
        (replica,) = await cluster.replicas(pair.source)
        await cluster.cut(replica.id)
        key = pair.send()
        await pair.until_debited(2)
        assert key not in shop.told
        assert (await shop.ledger.wallets.read(shop.rooms[pair.room].host)).diamonds == 500, "and not credited"
        await cluster.join(replica.id)
        with told_when_credited():
            await shop.everyone()
        told = shop.told[key]
        assert isinstance(told, Result)
        assert (told.duplicate, told.seq, told.pending) == (False, 2, False)
        await shop.check()


async def test_a_debit_that_no_replica_has_in_time_is_not_known(cluster: EmbeddedCluster) -> None:
    async with apart(cluster, ledger_timeout=3.0) as pair:
        shop = pair.shop
        (replica,) = await cluster.replicas(pair.source)
        await cluster.cut(replica.id)
        keys = [pair.send() for _ in range(3)]
        await shop.everyone()
        assert [type(shop.told[key]) for key in keys] == [errors.OutcomeUnknown] * 3
        await cluster.join(replica.id)
        again = [await pair.give(key) for key in keys]
        assert all(result.duplicate for result in again), "they were paid all the same, once"


async def test_a_credit_that_no_replica_has_is_not_told(cluster: EmbeddedCluster) -> None:
    async with apart(cluster) as pair:
        shop = pair.shop
        (replica,) = await cluster.replicas(pair.to)
        await cluster.cut(replica.id)
        key = pair.send()
        assert isinstance(await shop.post(pair.room), errors.Unconfirmed), "what has no key can't be said again"
        await shop.everyone()
        assert shop.told[key] == Result(False, 0, COINS - 2, 0, 0, pending=True)
        await cluster.join(replica.id)
        await shop.ledger.flush(10)
        assert (await shop.ledger.gifts.status(shop.senders[pair.sender].id, key)).seq in (2, 3)
        await shop.check()


async def test_a_master_that_dies_with_a_debit_that_only_it_has_has_told_nobody(cluster: EmbeddedCluster) -> None:
    async with apart(cluster, ledger_timeout=30.0) as pair:
        shop = pair.shop
        (replica,) = await cluster.replicas(pair.source)
        await cluster.cut(replica.id)
        key = pair.send()
        await pair.until_debited(2)
        await cluster.kill(pair.source.id)
        assert key not in shop.told
        await cluster.promote(replica.id, "TAKEOVER")
        await cluster.restart(pair.source.id)  # empty hands: it follows the one that has lost the debit
        with told_when_credited():
            await shop.everyone()
        told = shop.told[key]
        assert isinstance(told, Result), told
        assert (told.duplicate, told.seq) == (False, 2), "taken again, as nothing of it had been"
        await shop.ledger.flush(5)
        assert (await shop.check()).gifts == 2


async def test_a_master_that_dies_amid_gifts_takes_none_with_it(electing: EmbeddedCluster) -> None:
    cluster = electing
    async with shop_at(cluster.url, ledger_timeout=30.0, batch_max=16) as shop:
        _, source, _, _ = await places(cluster, shop)
        shop.all_to_all(4)
        await until(lambda: shop.told, pause=0)
        await cluster.kill(source.id)
        shop.all_to_all(2)
        await until(lambda: replaced(cluster))
        await cluster.restart(source.id)
        await shop.everyone()
        assert {type(told) for told in shop.told.values()} == {Result}, set(map(str, shop.told.values()))
        assert shop.in_order()
        await shop.ledger.flush(5)
        assert (await shop.check()).gifts == 6 * 64


async def test_connections_that_break_amid_gifts(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url, ledger_timeout=10.0, batch_max=8) as shop:
        for _ in range(8):
            shop.all_to_all()
            before = len(shop.told)
            await until(lambda before=before: len(shop.told) > before, pause=0)  # type: ignore[misc]
            for node in await cluster.masters():
                await node.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await shop.everyone()
        assert {type(told) for told in shop.told.values()} == {Result}
        assert shop.in_order()
        await shop.ledger.flush(5)
        assert (await shop.check()).gifts == 8 * 64


async def test_slots_that_move_amid_gifts(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url, ledger_timeout=10.0, batch_max=8) as shop:
        shop.all_to_all()
        for base in shop.ledger.keys.bases[:6]:
            slot = slot_of(base)
            owner = await cluster.owner(slot)
            target = next(node for node in await cluster.masters() if node is not owner)
            moving = asyncio.create_task(move(cluster, slot, slot, target.id))
            while not moving.done():
                shop.all_to_all()
                await shop.everyone()  # not more than a busy machine can take
            await moving
        await shop.everyone()
        assert {type(told) for told in shop.told.values()} == {Result}
        assert shop.in_order()
        await shop.ledger.flush(5)
        assert (await shop.check()).gifts == len(shop.told)


async def test_a_room_that_does_not_answer_leaves_its_gifts_pending(cluster: EmbeddedCluster) -> None:
    async with apart(cluster, ledger_timeout=4.0) as pair:
        shop = pair.shop
        async with unanswering(pair.to):
            with known_rooms():
                key = pair.send()
                await shop.everyone()
            told = shop.told[key]
            assert told == Result(False, 0, told.coins, 0, 0, pending=True)
            again, new = await asyncio.gather(
                pair.give(key),
                pair.give(),
                return_exceptions=True,
            )
            assert again == Result(True, 0, told.coins, 0, 0, pending=True)
            assert isinstance(new, errors.LedgerUnavailable), "a room that can't be asked takes nothing"
        await shop.ledger.flush(10)
        status = await shop.ledger.gifts.status(shop.senders[pair.sender].id, key)
        assert (status.state, status.seq, status.coins) == ("accepted", 2, told.coins)
        await shop.check()


async def test_what_was_pending_is_completed(cluster: EmbeddedCluster) -> None:
    async with apart(cluster, ledger_timeout=20.0) as pair:
        shop = pair.shop
        async with unanswering(pair.to):
            with known_rooms():
                key = pair.send()
                await shop.everyone()
            assert shop.told[key].pending
        await shop.ledger.flush(10)
        again = await pair.give(key)
        assert again == Result(True, 2, shop.told[key].coins, 2, 1)
        await shop.check()


async def test_a_node_that_ends_leaves_what_is_paid_to_the_relays(
    cluster: EmbeddedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with apart(cluster, ledger_timeout=20.0) as pair:
        shop = pair.shop
        async with unanswering(pair.to):
            with known_rooms():
                key = pair.send()
                await pair.until_debited(2)
            lanes = shop.ledger.batcher._credits  # type: ignore[union-attr]
            await until(lambda: lanes[shop.ledger.keys.bases.index(shop.rooms[pair.room].base)].busy)
            with caplog.at_level(logging.WARNING):
                await shop.ledger.flush(0.1)
                shop.ledger.batcher.fall()
            assert "1 gifts are paid and not credited yet" in caplog.text
            assert shop.told[key].pending
            assert await pair.debited() == 2, "there a relay finds it"


async def test_what_can_not_be_sent_is_refused_in_time(cluster: EmbeddedCluster) -> None:
    async with apart(cluster, ledger_timeout=3.0, batch_queue=20) as pair:
        shop = pair.shop
        await cluster.cut((await cluster.replicas(pair.source))[0].id)
        await cluster.kill(pair.source.id)
        keys = [pair.send() for _ in range(30)]
        await shop.everyone()
        kinds = [type(shop.told[key]) for key in keys]
        assert set(kinds[:20]) <= {errors.LedgerUnavailable, errors.OutcomeUnknown}
        assert set(kinds[20:]) == {errors.Overloaded}


async def test_a_halt_ends_all_at_once(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url) as shop:
        shop.all_to_all(4)
        shop.ledger.batcher.close(errors.LedgerHalted)
        await shop.everyone()
        with pytest.raises(errors.LedgerHalted):
            await shop.ledger.gifts.send(shop.senders[0], shop.rooms[0], "spark", new_key())
        await shop.ledger.batcher.drain()
        kinds = {type(told) for told in shop.told.values()}
        assert kinds <= {errors.LedgerHalted, errors.OutcomeUnknown, Result}


async def test_a_partition_that_has_lost_its_data_halts_the_ledger(cluster: EmbeddedCluster) -> None:
    async with shop_at(cluster.url) as shop:
        await shop.ledger.redis.delete(f"{shop.senders[0].base}:line")
        with pytest.raises((errors.OutcomeUnknown, errors.LedgerHalted)):
            await shop.ledger.gifts.send(shop.senders[0], shop.rooms[0], "spark", new_key())
        assert "lost its data" in shop.ledger.halt.why
