"""What viewers have seen and a failover lost: by sockets, on real clusters whose stale replica takes over."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from gifting.client import Client
from gifting.config import load
from gifting.errors import GiftingError
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.moving import move
from gifting.ledger.embedded.node import Node
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.tasks import end
from tests.support.clusters import UNGUARDED, steady_cluster
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.witness import Witness, log_of

pytestmark = [pytest.mark.attack, pytest.mark.slow]

FLAGS: dict[str, Any] = {
    "ledger_timeout": 1.0,
    "heartbeat_timeout": 0.5,
    "allow_unsafe_redis": True,
    "comment_rate": 1000,
    "comment_burst": 1000,
    "message_rate": 1000,
}
ROOM = "r1"


class Scene:
    """A server on a cluster, one who talks, and viewers on both lanes."""

    def __init__(self, cluster: EmbeddedCluster, server: Server, ledger: Ledger, stack: AsyncExitStack) -> None:
        self.cluster, self.server, self.ledger, self._stack = cluster, server, ledger, stack
        self.talker: Client
        self.witnesses: list[Witness] = []
        self.words = itertools.count()

    async def client(self, user: str) -> Client:
        return await self._stack.enter_async_context(Client(self.server.url, self.server.token(user), reply_timeout=5))

    async def begin(self) -> None:
        await self.server.room(ROOM)
        self.talker = await self.client("ann")
        for lane in ("all", "live"):
            self.witnesses.append(Witness(await self.client(f"viewer-{lane}"), ROOM, lane))
            await self.witnesses[-1].join()
            self._stack.push_async_callback(self.witnesses[-1].stop)

    async def say(self, text: str) -> None:
        """Until it is taken; a failover may be in the way, after which it may have been said more than once."""
        async with asyncio.timeout(30):
            while True:
                with suppress(GiftingError, ConnectionError, TimeoutError):
                    await self.talker.comment(ROOM, text)
                    return
                await asyncio.sleep(0.05)

    async def whisper(self, text: str) -> None:
        """Once, and nobody cares what is answered."""
        with suppress(GiftingError, ConnectionError, TimeoutError):
            await self.talker.comment(ROOM, text)

    async def seen(self, text: str) -> None:
        for witness in self.witnesses:
            await witness.has_seen(text)

    async def reached(self) -> None:
        """Viewers are as far as the log is, in its history; who came back to a gap may have that from a snapshot."""
        room = await self.ledger.rooms.find(ROOM)

        async def there() -> bool:
            found = await self.ledger.rooms.snapshot(room)
            return all(one.place == (one.last, found.epoch) and one.last >= found.seq for one in self.witnesses)

        await until(there)

    async def shard(self) -> tuple[Node, Node]:
        """The master of the room and its replica."""
        room = await self.ledger.rooms.find(ROOM)
        master = await self.cluster.owner(slot_of(room.base))
        (replica,) = await self.cluster.replicas(master)
        return master, replica

    async def replace(self, master: Node, replica: Node) -> None:
        """The master dies, its replica takes over as it is, and the other comes back to follow it."""
        await master.kill()
        await self.cluster.promote(replica.id, "TAKEOVER")
        await self.cluster.join(replica.id)
        await self.cluster.restart(master.id)
        await self.cluster.settle()

    async def talk(self) -> None:
        """For ever: say one thing after the other."""
        for number in self.words:
            await asyncio.gather(*(self.whisper(f"word {number}.{place}") for place in range(5)))

    @asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        """Meanwhile somebody talks; at the end viewers are as far as the log is."""
        task = asyncio.create_task(self.talk())
        try:
            yield
        finally:
            await end([task])
        await self.say("the last word")
        await self.reached()

    async def log(self) -> dict[int, str]:
        room = await self.ledger.rooms.find(ROOM)
        return log_of([batch async for batch in self.ledger.rooms.batches(room, 0)])

    async def agree(self) -> None:
        """What viewers have been shown since their last gap is what the log says."""
        log = await self.log()
        for witness in self.witnesses:
            assert not witness.complaints
            assert witness.said == {seq: said for seq, said in log.items() if seq in witness.said}
            first = witness.gaps[-1] + 1 if witness.gaps else min(witness.said)
            assert witness.lane == "live" or list(witness.said) == list(range(first, max(log) + 1))


@asynccontextmanager
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(steady_cluster(settings=UNGUARDED))
        server = Server(tmp_path / "data", cluster.url, **FLAGS)
        await stack.enter_async_context(server)
        ledger = Ledger(cluster.url, load(FLAGS, environ={}), load_catalog())
        await ledger.start()
        stack.push_async_callback(ledger.stop)
        made = Scene(cluster, server, ledger, stack)
        await made.begin()
        yield made


async def test_who_saw_what_a_stale_replica_never_had_comes_back_to_a_gap(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        for number in range(3):
            await it.say(f"kept {number}")
        await it.seen("kept 2")
        early = it.witnesses[0].place
        master, replica = await it.shard()
        await it.cluster.cut(replica.id)
        talking = [asyncio.create_task(it.whisper(f"lost {number}")) for number in range(3)]
        for number in range(3):
            await it.seen(f"lost {number}")
        late = it.witnesses[0].place
        await it.replace(master, replica)
        await asyncio.wait(talking)
        for number in range(6):
            await it.say(f"after {number}")
        await it.reached()
        await it.agree()
        assert [len(witness.gaps) for witness in it.witnesses] == [1, 1]
        assert "lost 2" not in (await it.log()).values()
        for place, gap in ((early, False), (late, True)):
            back = await it.client("back")
            found = await back.join(ROOM, since=place[0], epoch=place[1], lane="all")
            assert found["gap"] == gap, (place, gap)
            await back.leave(ROOM)


async def test_a_failover_that_loses_nothing_is_no_gap(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        for number in range(3):
            await it.say(f"before {number}")
        await it.seen("before 2")
        place = it.witnesses[0].place
        await it.replace(*await it.shard())
        for number in range(3):
            await it.say(f"after {number}")
        await it.reached()
        await it.agree()
        assert not any(witness.gaps for witness in it.witnesses)
        back = await it.client("back")
        found = await back.join(ROOM, since=place[0], epoch=place[1], lane="all")
        assert not found["gap"]
        found = await back.join(ROOM, since=it.witnesses[0].place[0], epoch=it.witnesses[0].place[1], lane="all")
        assert not found["gap"]


async def test_a_slot_that_moves_while_all_talk_costs_nobody_an_event(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        slot = slot_of((await it.ledger.rooms.find(ROOM)).base)
        for target in [*await it.cluster.masters()] * 2:
            async with it.talking():
                await it.say("now")
                await move(it.cluster, slot, slot, target.id)
        await it.agree()
        assert not any(witness.gaps for witness in it.witnesses)
        assert len(await it.log()) > 50


@pytest.mark.parametrize("cut", [True, False])
async def test_one_failover_after_another_while_all_talk(tmp_path: Path, cut: bool) -> None:
    """Whoever comes back to a gap has seen something that the log does not say."""
    async with scene(tmp_path) as it:
        for number in range(2):
            master, replica = await it.shard()
            async with it.talking():
                await it.say(f"now {number}")
                await it.witnesses[0].has_seen(f"now {number}")
                if cut:
                    await it.cluster.cut(replica.id)
                    before = it.witnesses[0].last
                    async with asyncio.timeout(20):
                        while it.witnesses[0].last < before + 2:
                            await asyncio.sleep(0.01)
                await it.replace(master, replica)
        await it.agree()
        log = set((await it.log()).values())
        for witness in it.witnesses:
            assert len(witness.gaps) <= 2
            assert not cut or witness.gaps
            assert witness.lane == "live" or not witness.gaps or witness.ever - log
