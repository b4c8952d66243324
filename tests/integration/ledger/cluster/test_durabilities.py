"""When a gift on a cluster counts as written: with a replica, on its master's disk, or when a service says so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gifting import errors
from gifting.ledger.embedded.cluster import EmbeddedCluster
from tests.support.clusters import own_cluster
from tests.support.shop import Shop, shop_at


@pytest.fixture
async def cut() -> AsyncIterator[EmbeddedCluster]:
    """A cluster whose replicas are up, and hear nothing; its masters write without them."""
    async with own_cluster() as cluster:
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
    async with shop_at(cut.url, 4, ledger_timeout=1.0) as shop:
        for replica in replicas:
            await cut.cut(replica.id)
        shop.all_to_all()
        told = await shop.everyone()
        assert not shop.results()
        assert {type(outcome) for outcome in told.values()} <= {errors.OutcomeUnknown, errors.LedgerUnavailable}
