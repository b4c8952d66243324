"""Masters die and are replaced under calls: what was answered stays, nothing is done twice, and who can wait does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from redis.exceptions import RedisError

from gifting.errors import NoRedis
from gifting.ledger import scripts
from gifting.ledger.cluster.awaited import AtLeast
from gifting.ledger.cluster.client import ClusterRedis
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node
from gifting.ledger.redis_errors import Fate, NotReplicated, fate
from gifting.tasks import end
from tests.support.clusters import last_words, mend

BASES = [f"test:{{{tag}}}" for tag in tags(16)]
KEY = f"{BASES[0]}:hits"
COUNT_UP = "#!lua\nreturn redis.call('HINCRBY', KEYS[1], ARGV[1], 1)"
WRITE_NOTHING = "#!lua\nreturn redis.call('HGET', KEYS[1], ARGV[1])"
WITHIN = 30.0


@asynccontextmanager
async def a_client(url: str, timeout: float) -> AsyncIterator[BinaryRedis]:
    async with ClusterRedis(url, timeout) as client:
        yield client


async def replaced(cluster: EmbeddedCluster, master: Node) -> None:
    """Until another one has its slots."""
    with last_words(cluster, TimeoutError):
        async with asyncio.timeout(WITHIN):
            while not await _is_replaced(cluster, master):
                await asyncio.sleep(0.02)


async def _is_replaced(cluster: EmbeddedCluster, master: Node) -> bool:
    with suppress(NoRedis):
        return await cluster.owner(slot_of(KEY)) is not master
    return False


class Callers:
    """Each call is made once, under a name of its own."""

    def __init__(self, client: BinaryRedis, bases: list[str], count: int = 8) -> None:
        self.acked, self.unknown, self.not_run = set[str](), set[str](), set[str]()
        self._client, self._bases, self._made = client, bases, 0
        self._tasks = [asyncio.create_task(self._call()) for _ in range(count)]

    async def _call(self) -> None:
        while True:
            self._made += 1
            name = str(self._made)
            try:
                found = await self._client.eval(COUNT_UP, 1, self._hits(name), name)
            except Exception as error:
                (self.unknown if fate(error) is Fate.UNKNOWN else self.not_run).add(name)
            else:
                assert found == 1
                self.acked.add(name)

    def _hits(self, name: str) -> str:
        return f"{self._bases[int(name) % len(self._bases)]}:hits"

    async def more(self, count: int) -> None:
        """So many are acked."""
        wanted = len(self.acked) + count
        async with asyncio.timeout(WITHIN):
            while len(self.acked) < wanted:
                await asyncio.sleep(0.005)
                for task in self._tasks:
                    assert not task.done()

    async def end(self) -> None:
        await end(self._tasks)

    async def hits(self) -> Counter[str]:
        found = Counter[str]()
        for base in self._bases:
            found.update({name.decode(): int(n) for name, n in (await self._client.hgetall(f"{base}:hits")).items()})
        return found


@pytest.mark.parametrize("how", ["killed", "paused", "promoted", "usurped"])
async def test_a_master_is_replaced_under_calls(client: BinaryRedis, cluster: EmbeddedCluster, how: str) -> None:
    callers = Callers(client, BASES)
    await callers.more(200)
    master = await cluster.owner(slot_of(KEY))
    (replica,) = await cluster.replicas(master)
    if how == "killed":
        await cluster.kill(master.id)
        await replaced(cluster, master)
    elif how == "paused":
        master.pause()
        await replaced(cluster, master)
        master.resume()
    else:
        await cluster.promote(replica.id, "TAKEOVER" if how == "usurped" else "")
    if how == "killed":
        await cluster.restart(master.id)
    await callers.more(200)
    await cluster.settle()
    await callers.more(200)
    await callers.end()
    hits = await callers.hits()
    assert set(hits.values()) == {1}, "sent twice"
    assert callers.acked <= hits.keys()
    assert not callers.not_run & hits.keys()
    assert not callers.not_run, "an election is waited for"


async def test_an_election_is_waited_for_by_reads_pipelines_and_transactions(
    client: BinaryRedis, cluster: EmbeddedCluster
) -> None:
    for base in BASES:
        await client.set(f"{base}:k", base)
    master = await cluster.owner(slot_of(KEY))
    await cluster.kill(master.id)
    pipe = client.pipeline(transaction=False)
    for base in BASES:
        pipe.get(f"{base}:k")
    pipe.hset(f"{BASES[0]}:h", "f", "v")
    waiting = asyncio.gather(
        pipe.execute(),
        client.pipeline(transaction=True).set(f"{BASES[0]}:a", 1).set(f"{BASES[0]}:b", 2).execute(),
        client.get(f"{BASES[0]}:k"),
    )
    await replaced(cluster, master)
    await mend(cluster)
    found, both, one = await waiting
    assert found == [*(base.encode() for base in BASES), 1]
    assert both == [True, True]
    assert one == BASES[0].encode()


async def test_who_finds_nobody_in_time_is_told_that_nothing_has_run(cluster: EmbeddedCluster) -> None:
    async with a_client(cluster.url, 0.3) as client:
        await client.set(KEY, 1)
        master = await cluster.owner(slot_of(KEY))
        await cluster.kill(master.id)
        with suppress(RedisError, OSError):
            await client.get(KEY)  # perhaps over a connection of which it is not yet known that nobody is there
        with pytest.raises(RedisError) as caught:
            await client.set(f"{BASES[0]}:late", 1)
        await replaced(cluster, master)
        assert fate(caught.value) is Fate.NOT_RUN
        assert not await client.exists(f"{BASES[0]}:late")
        await mend(cluster)


@asynccontextmanager
async def no_replica(cluster: EmbeddedCluster) -> AsyncIterator[None]:
    """The master of a slot goes on without it."""
    master = await cluster.owner(slot_of(KEY))
    (replica,) = await cluster.replicas(master)
    await cluster.cut(replica.id)
    try:
        yield
    finally:
        await cluster.join(replica.id)


async def test_nothing_counts_that_no_replica_has(cluster: EmbeddedCluster) -> None:
    """A script too that finds that it has nothing to write: what it found may be lost as well."""
    read = "#!lua flags=no-writes\nreturn redis.call('HGET', KEYS[1], 'one')"
    master = await cluster.owner(slot_of(KEY))
    async with a_client(cluster.url, 1.0) as client:
        await client.delete(KEY)
        await client.hset(KEY, "one", 1)
        await master.call("CONFIG", "SET", "min-replicas-to-write", 0)
        async with no_replica(cluster):
            for call in (
                client.hset(KEY, "two", 2),
                client.hsetnx(KEY, "one", 2),
                client.eval(WRITE_NOTHING, 1, KEY, "one"),
                client.pipeline(transaction=True).hsetnx(KEY, "one", 2).hget(KEY, "one").execute(),
                client.pipeline(transaction=False).hsetnx(KEY, "one", 2).execute(),
            ):
                with pytest.raises(NotReplicated) as caught:
                    await call
                assert fate(caught.value) is Fate.UNKNOWN
            assert await client.hget(KEY, "one") == await client.eval(read, 1, KEY) == b"1"
            found = await client.pipeline(transaction=False).hsetnx(KEY, "one", 2).hget(KEY, "one").execute(False)
            assert isinstance(found[0], NotReplicated)
            assert found[1] == b"1"
            client.router.awaited = AtLeast(0)
            assert await client.hset(KEY, "three", 3) == 1
        client.router.awaited = AtLeast(1)
        await master.call("CONFIG", "SET", "min-replicas-to-write", 1)
        assert await client.hsetnx(KEY, "one", 2) == 0


async def test_a_master_that_misses_its_replica_is_waited_for(client: BinaryRedis, cluster: EmbeddedCluster) -> None:
    """It writes nothing meanwhile."""
    await client.hset(KEY, "one", 1)
    async with no_replica(cluster):
        writing = asyncio.create_task(client.hset(KEY, "two", 2))
        master = await cluster.owner(slot_of(KEY))
        async with asyncio.timeout(WITHIN):
            while "errorstat_NOREPLICAS" not in await master.call("INFO", "errorstats"):
                await asyncio.sleep(0.01)
        assert not writing.done()
    assert await writing == 1


async def test_a_promoted_replica_gets_scripts_anew(client: BinaryRedis, cluster: EmbeddedCluster) -> None:
    names = [f"{BASES[0]}:{part}" for part in ("top", "users")]
    assert await scripts.call(client, "top", names, 3) == b"\x90"
    (replica,) = await cluster.replicas(await cluster.owner(slot_of(KEY)))
    await cluster.promote(replica.id)
    assert await scripts.call(client, "top", names, 3) == b"\x90"
    await cluster.settle()


async def test_a_password_that_is_wrong_is_told_at_once(cluster: EmbeddedCluster) -> None:
    wrong = cluster.url.replace("://", "://somebody:wrong@")
    async with a_client(wrong, 60.0) as client:
        with pytest.raises(Exception, match=r"(?i)pass"):
            await client.get(KEY)
