"""Calls go to the master that has their slot, wherever it is by then, and are held by a replica when they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ClusterDownError, RedisError

from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.moving import move, move_of
from gifting.ledger.redis_errors import Fate, fate
from tests.support.clusters import UNGUARDED, be_patient, own_cluster
from tests.support.linked import KEYS, WITHIN, Linked, linked

pytestmark = pytest.mark.attack

KEY = KEYS[3]


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


async def test_calls_to_all_masters_are_held_and_queries_answered(cluster: EmbeddedCluster) -> None:
    async with linked(cluster.url) as links:
        replies = await asyncio.gather(*(links.call("INCR", key) for key in KEYS))
        assert replies == [(1, True)] * len(KEYS)
        assert await links.ask(("GET", KEY), ("HLEN", f"{KEY}/none")) == [b"1", 0]
        assert len(links.links._links) == 3


async def test_what_is_ready_together_is_one_round_and_the_next_waits_for_its_pause(cluster: EmbeddedCluster) -> None:
    async with linked(cluster.url, pause=0.2) as links:
        started = time.monotonic()
        await links.call("INCR", KEY)
        replies = await asyncio.gather(*(links.call("INCR", KEY) for _ in range(50)))
        assert time.monotonic() - started >= 0.2
        assert [reply for reply, _ in replies] == list(range(2, 52))
        *_, (_, rounds) = links.links.rounds.took.buckets()
        assert rounds == 2


async def test_what_no_replica_has_is_not_held(cluster: EmbeddedCluster) -> None:
    async with linked(cluster.url) as links:
        assert await links.call("INCR", KEY) == (1, True)
        master = await cluster.owner(slot_of(KEY))
        (replica,) = await cluster.replicas(master)
        await cluster.kill(replica.id)
        assert await links.call("INCR", KEY) == (2, False)
        assert links.links.rounds.seconds > 0
    async with linked(cluster.url, replicas=0) as links:
        assert await links.call("INCR", KEY) == (3, True), "nothing is waited for"


async def test_a_question_does_not_wait_for_what_replicas_have_not_got(cluster: EmbeddedCluster) -> None:
    async with linked(cluster.url) as links:
        assert await links.call("INCR", KEY) == (1, True)
        master = await cluster.owner(slot_of(KEY))
        (replica,) = await cluster.replicas(master)
        await cluster.cut(replica.id)
        calling = asyncio.create_task(links.call("INCR", KEY))
        while await links.ask(("GET", KEY)) == [b"1"]:
            assert not calling.done()
        assert await links.ask(("GET", KEY)) == [b"2"]
        assert not calling.done(), "it waits for a replica still"
        assert await calling == (2, False)


async def test_a_call_follows_its_slot(cluster: EmbeddedCluster) -> None:
    async with linked(cluster.url) as links:
        await links.call("INCR", KEY)
        slot = slot_of(KEY)
        owner = await cluster.owner(slot)
        target = next(node for node in await cluster.masters() if node is not owner)
        await move(cluster, slot, slot, target.id)
        assert await links.call("INCR", KEY) == (2, True)
        assert await links.ask(("GET", KEY)) == [b"2"]


async def test_a_call_waits_while_its_slot_is_under_way(cluster: EmbeddedCluster) -> None:
    """ASK is not followed: the key is where it goes already, and the call ends there once the slot is."""
    async with linked(cluster.url) as links:
        await links.call("INCR", KEY)
        slot = slot_of(KEY)
        owner = await cluster.owner(slot)
        target = next(node for node in await cluster.masters() if node is not owner)
        way = await move_of(cluster, slot, target.id)
        await way.open()
        await way.some_keys()
        calling = asyncio.create_task(links.call("INCR", KEY))
        asking = asyncio.create_task(links.ask(("GET", KEY)))
        await links.call("INCR", KEYS[-1])
        assert not calling.done()
        assert not asking.done()
        await way.close()
        assert await calling == (2, True)
        assert (await asking)[0] in (b"1", b"2")


async def test_a_call_that_was_never_sent_goes_to_the_replica_that_is_elected(electing: EmbeddedCluster) -> None:
    cluster = electing
    async with linked(cluster.url, replicas=0) as links:
        await asyncio.gather(*(links.call("INCR", key) for key in KEYS))
        links.links.rounds.note(links.master_of(KEY), time.monotonic() - 1, "0 have it")
        await cluster.kill((await cluster.owner(slot_of(KEY))).id)
        reply, _ = await links.call("INCR", KEY)
        if isinstance(reply, RedisError):  # it was on the wire already
            assert fate(reply) is Fate.UNKNOWN
            reply, _ = await links.call("INCR", KEY)
        assert reply == 2
        assert len(await asyncio.gather(*(links.call("INCR", key) for key in KEYS))) == len(KEYS)
        assert not links.links.rounds.seconds, "of a master that is none any more"


async def test_what_was_sent_and_not_answered_ends_as_unknown_and_is_not_sent_again(cluster: EmbeddedCluster) -> None:
    async with linked(cluster.url, timeout=3.0) as links:
        await links.call("INCR", KEY)
        master = await cluster.owner(slot_of(KEY))
        master.pause()
        try:
            reply, held = await links.call("INCR", KEY)
            assert isinstance(reply, Exception)
            assert fate(reply) is Fate.UNKNOWN
            assert not held
        finally:
            master.resume()


async def test_without_a_master_a_call_ends_in_time_as_not_run(cluster: EmbeddedCluster) -> None:
    async with linked(cluster.url, timeout=0.5) as links:
        for node in cluster.nodes.values():
            await cluster.kill(node.id)
        started = time.monotonic()
        reply, held = await links.call("INCR", KEY)
        assert isinstance(reply, ClusterDownError | RedisError)
        assert fate(reply) is Fate.NOT_RUN
        assert not held
        assert isinstance(await links.ask(("GET", KEY)), Exception)
        assert time.monotonic() - started < 10


async def test_a_replica_is_awaited_from_when_it_joins_until_it_is_forgotten(electing: EmbeddedCluster) -> None:
    cluster = electing
    async with linked(cluster.url, timeout=8.0, every=True) as links:
        assert await links.call("INCR", KEY) == (1, True)
        master = await cluster.owner(slot_of(KEY))
        second = await cluster.add(master.id)
        await becomes(links, held=True)
        await cluster.cut(second.id)
        await becomes(links, held=False)
        await cluster.join(second.id)
        await becomes(links, held=True)
        await cluster.kill(second.id)
        await becomes(links, held=False)
        for node in cluster.nodes.values():
            if node is not second:
                await node.call("CLUSTER", "FORGET", second.id)
        await becomes(links, held=True)


async def becomes(links: Linked, *, held: bool) -> None:
    async with asyncio.timeout(WITHIN):
        while (await links.call("INCR", KEY))[1] is not held:
            pass
    assert (await links.call("INCR", KEY))[1] is held
