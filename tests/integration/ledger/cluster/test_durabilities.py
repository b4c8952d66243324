"""When a gift on a cluster counts as written: with one replica, all, on its disk, or by a service's word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import errors
from gifting.ledger.cluster.asked import KEPT
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.binary import LOG_NAME
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.halt import FIELD
from gifting.model.values import Result
from tests.support.clusters import UNGUARDED, own_cluster
from tests.support.commands import run_command
from tests.support.lagging import SOON_STALE, let_one_lag
from tests.support.shop import COINS, WITHIN, Shop, shop_at
from tests.support.waiting import until


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with own_cluster(settings=UNGUARDED) as cluster:
        yield cluster


@pytest.fixture
async def cut() -> AsyncIterator[EmbeddedCluster]:
    """A cluster whose replicas are up, and hear nothing; its masters write without them."""
    async with own_cluster(settings=UNGUARDED) as cluster:
        for master in await cluster.masters():
            for replica in await cluster.replicas(master):
                await cluster.cut(replica.id)
        yield cluster


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["disk", "managed"])
async def test_gifts_are_acknowledged_without_a_replica(cut: EmbeddedCluster, durability: str) -> None:
    user = ""
    if durability == "managed":
        for node in cut.nodes.values():  # as a service does, it does not tell its settings
            await node.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config")
        user = "app:secret@"
    url = cut.url.replace("://", f"://{user}")
    async with shop_at(url, 4, redis=url, durability=durability, allow_unsafe_redis=False) as shop:
        await flows(shop)


@pytest.mark.slow
async def test_where_no_replica_is_waited_for_an_operator_opens_the_books_without_one(
    cut: EmbeddedCluster, tmp_path: Path
) -> None:
    async with shop_at(cut.url, 1, redis=cut.url, durability="disk") as shop:
        meta, redis = shop.ledger.keys.meta, shop.ledger.redis
        await redis.hset(meta, FIELD, "a test")
        settings = {"GIFTING_DURABILITY": "disk", "GIFTING_ALLOW_UNSAFE_REDIS": "1"}
        done = await run_command("resume", "--redis", cut.url, cwd=tmp_path, **settings)
        assert (done.status, "a test" in done.out) == (0, True), done
        assert await redis.hget(meta, FIELD) is None


async def flows(shop: Shop) -> None:
    shop.all_to_all(2)
    told = await shop.everyone()
    assert len(shop.results()) == len(told) == 32
    await shop.check()


@pytest.mark.slow
async def test_no_gift_is_acknowledged_that_no_replica_has(cut: EmbeddedCluster) -> None:
    with pytest.raises(errors.ClusterUnconfirmed):
        async with shop_at(cut.url, 4, ledger_timeout=1.0):
            raise AssertionError
    replicas = [replica for master in await cut.masters() for replica in await cut.replicas(master)]
    for replica in replicas:
        await cut.join(replica.id)
    async with shop_at(cut.url, 4) as shop:
        for replica in replicas:
            await cut.cut(replica.id)
        shop.all_to_all()
        told = await shop.everyone()
        assert not shop.results()
        assert {type(outcome) for outcome in told.values()} <= {errors.OutcomeUnknown, errors.LedgerUnavailable}


@pytest.mark.slow
async def test_gifts_to_rooms_of_a_master_without_its_replica_are_paid_and_pending(cluster: EmbeddedCluster) -> None:
    """Those of other masters' senders, though a room that nobody has asked about for a second is asked there first."""
    async with shop_at(cluster.url, redis=cluster.url, ledger_timeout=5.0) as shop:
        shop.all_to_all()
        await shop.everyone()
        master = await cluster.owner(slot_of(shop.rooms[0].base))
        (replica,) = await cluster.replicas(master)
        here = [await cluster.owner(slot_of(base)) is master for base in (sender.base for sender in shop.senders)]
        await cluster.cut(replica.id)
        sent = list[str]()
        enough = time.monotonic() + 4 * KEPT
        while time.monotonic() < enough:  # what waits for the replica is on its way when the room is asked again
            sent += [shop.send(sender, 0) for sender, is_here in enumerate(here) if not is_here]
            await asyncio.sleep(KEPT / 10)
        await until(shop.rounds.told)
        assert [f"127.0.0.1:{replica.port} does not follow" in said for said in shop.rounds.told()] == [True]
        told = await shop.everyone()
        assert all(isinstance(told[key], Result) and told[key].pending for key in sent)
        await cluster.join(replica.id)
        await shop.ledger.flush(WITHIN)
        assert not shop.rounds.told()
        assert not shop.rounds.seconds
        await shop.check()


@pytest.fixture
async def double() -> AsyncIterator[EmbeddedCluster]:
    """Each master has two replicas."""
    async with own_cluster(replicas=2, settings=UNGUARDED) as cluster:
        yield cluster


@pytest.mark.slow
async def test_every_replica_means_every_one(double: EmbeddedCluster) -> None:
    """While one of each master hears nothing, its other is enough for ``replica``, and not for ``every-replica``."""
    lagging = [(await double.replicas(master))[0] for master in await double.masters()]
    flags: dict[str, Any] = {"redis": double.url, "ledger_timeout": 10.0}
    async with shop_at(double.url, 4, durability="every-replica", **flags) as shop:
        await flows(shop)
        for replica in lagging:
            await double.cut(replica.id)
        stopped = [shop.send(sender, room) for sender in range(4) for room in range(4)]
        told = await shop.everyone()
        assert {type(told[key]) for key in stopped} <= {errors.OutcomeUnknown, errors.LedgerUnavailable}
    async with shop_at(double.url, 0, durability="replica", **flags) as other:
        other.rooms, other.senders = shop.rooms, shop.senders
        await flows(other)
    with pytest.raises(errors.ClusterUnconfirmed, match=r"not with every replica within 2 s: .* does not follow"):
        async with shop_at(double.url, 4, durability="every-replica", **flags):
            raise AssertionError
    for replica in lagging:
        await double.join(replica.id)
    async with shop_at(double.url, 0, durability="every-replica", **flags) as again:
        again.rooms, again.senders = shop.rooms, shop.senders
        await flows(again)


@pytest.mark.attack
@pytest.mark.parametrize("durability", ["replica", "every-replica"])
async def test_what_a_replica_that_lags_costs_when_it_is_promoted(double: EmbeddedCluster, durability: str) -> None:
    """The master and the replica that had all die; the other one takes over. ``replica`` is the control."""
    async with shop_at(double.url, redis=double.url, durability=durability) as shop:
        shop.all_to_all()
        await shop.everyone()
        lagging = await let_one_lag(double, slot_of(shop.senders[0].base))
        shop.all_to_all()
        await shop.everyone()
        await lagging.takes_over()
        lost = [await acked(shop, sender) - await paid(shop, sender) for sender in range(len(shop.senders))]
    assert (max(lost) > 0) is (durability == "replica")


async def acked(shop: Shop, sender: int) -> int:
    keys = [key for (user, _), keys in shop.sent.items() for key in keys if user == shop.senders[sender].id]
    return sum(isinstance(shop.told[key], Result) for key in keys)


async def paid(shop: Shop, sender: int) -> int:
    """Gifts of one coin each."""
    return COINS - (await shop.ledger.wallets.read(shop.senders[sender].id)).coins


@pytest.mark.slow
async def test_who_was_away_for_too_long_is_awaited_no_more_since_it_is_not_elected() -> None:
    async with (
        own_cluster(replicas=2, node_timeout=1.0, settings=UNGUARDED | SOON_STALE) as double,
        shop_at(double.url, 4, redis=double.url, durability="every-replica", ledger_timeout=2.0) as shop,
    ):
        master = await double.owner(slot_of(shop.senders[0].base))
        whole, lagging = await double.replicas(master)
        await double.cut(lagging.id)
        await gifts_go_on(shop)
        await double.kill(whole.id)
        await double.kill(master.id)
        log = lagging.folder / LOG_NAME
        async with asyncio.timeout(WITHIN):
            while "for longer than allowed" not in log.read_text(encoding="utf-8"):
                await asyncio.sleep(0.02)
        await double.restart(whole.id)
        await double.restart(master.id)
        await double.join(lagging.id)
        await double.settle()
        await gifts_go_on(shop)
        await shop.check()


async def gifts_go_on(shop: Shop) -> None:
    """Until one is acknowledged; those before may be in doubt."""
    async with asyncio.timeout(WITHIN):
        key = ""
        while not isinstance(shop.told.get(key), Result):
            key = shop.send(0, 0)
            await shop.everyone()
