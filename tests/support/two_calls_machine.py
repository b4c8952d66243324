"""Partitions that owe each other gifts, and go back to older states: each gift that is left is credited once, in order,
and what was credited and is left nowhere is named.

The truth is kept here by what was debited, not by how it is numbered: what a partition's ledger has of debits, and what
those of others have of credits.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

import msgpack
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from redis.asyncio import Redis

from gifting.ledger.cluster.credit_call import APPLIED, BEFORE, EARLY, GONE, PARKED, Told, read_blob
from gifting.ledger.cluster.debit_call import Riding
from gifting.ledger.entries import Credit, Debit
from gifting.ledger.entry_parser import parse_entries
from gifting.model.packing import unpack_raw
from gifting.model.values import RoomRef
from tests.support.two_calls import Halves, gift_item
from tests.support.world import World, a_world

PARTITIONS: Final = 2
HANDS_MAX: Final = 40
"""Blobs that nodes still hold, the newest ones."""

numbers = st.integers(0, PARTITIONS - 1)


class Held(NamedTuple):
    """What a node has got of a debit: for whom, and what."""

    to: int
    packed: bytes


class Snapshot(NamedTuple):
    """All keys of a partition, as they were."""

    keys: dict[bytes, bytes]


def keys_of(packed: bytes) -> tuple[bytes, ...]:
    """The keys of a blob's gifts, in order."""
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(unpack_raw(packed)[5])
    values = list(unpacker)
    return tuple(values[2::11])


class TwoCallsMachine(RuleBasedStateMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.hands: list[Held] = []
        self.blobs: dict[tuple[int, int, int, int], tuple[bytes, ...]] = {}
        self.snapshots: dict[int, Snapshot] = {}
        self.lineages = 0
        self.run(self.begin())

    def run(self, doing: Any) -> Any:
        return self.runner.run(doing)

    async def begin(self) -> None:
        async with Redis.from_url(self.url) as client:
            await client.flushall()
        self.world: World = await self.stack.enter_async_context(a_world(self.url, partitions=PARTITIONS))
        self.redis: Any = self.world.redis
        self.bases = self.world.ledger.keys.bases
        self.halves = Halves(lambda _: self.redis, self.bases, self.world.clock)
        await self.halves.bear()
        base = self.world.base
        self.users = [next(name for n in range(99) if base(name := f"u{n}") == one) for one in self.bases]
        hosts = [next(name for n in range(99) if base(name := f"h{n}") == one) for one in self.bases]
        self.rooms: list[RoomRef] = [await self.world.ledger.rooms.open(f"of-{one}", one, one, "") for one in hosts]
        for user in self.users:
            await self.world.grant(user, 1_000_000)
        for number in range(PARTITIONS):
            await self.leave_behind(number)

    def teardown(self) -> None:
        try:
            self.run(self.settle())
            self.run(self.check())
        finally:
            self.run(self.stack.aclose())
            self.runner.close()

    # What nodes do.

    @rule(source=numbers, to=st.lists(numbers, min_size=1, max_size=3))
    def debit(self, source: int, to: list[int]) -> None:
        self.run(self.debit_some(source, to))

    async def debit_some(self, source: int, to: list[int], riding: Riding | None = None) -> None:
        self.world.clock[0] += 1
        items = [gift_item(self.world, self.users[source], self.rooms[one]) for one in to]
        debited = await self.halves.debit(self.bases[source], *items, riding=riding)
        assert {reply[1] for reply in debited.replies} <= {0}
        for number, packed in debited.blobs:
            blob = read_blob(packed)
            assert (blob.source, blob.epoch) == (source, debited.epoch)
            made = self.blobs.setdefault((source, number, blob.epoch, blob.seq), keys_of(packed))
            assert made == keys_of(packed), "a number was given twice in one epoch"
            self.hands = [*self.hands, Held(number, packed)][-HANDS_MAX:]

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def some_are_sent(self, data: st.DataObject) -> None:
        """In any order, again, and late: from the hands of nodes that know nothing of each other."""
        first = data.draw(st.sampled_from(self.hands))
        others = [one for one in self.hands if one.to == first.to]
        self.run(self.send(first.to, [first, *data.draw(st.lists(st.sampled_from(others), max_size=3))]))

    async def send(self, to: int, held: list[Held]) -> list[Told]:
        self.world.clock[0] += 1
        credited = await self.halves.credit(to, *[one.packed for one in held])
        for one, told in zip(held, credited.told, strict=True):
            count = len(keys_of(one.packed))
            assert told.how in (APPLIED, BEFORE, PARKED, EARLY, GONE)
            assert (told.results is None) or len(told.results) == 3 * count
            assert told.how != APPLIED or told.results is not None
        return credited.told

    @rule(source=numbers)
    def all_is_relayed(self, source: int) -> None:
        self.run(self.relay(source))

    async def owed(self, source: int) -> list[tuple[bytes, list[Held]]]:
        items = await self.redis.xrange(f"{self.bases[source]}:outbox")
        return [(name, [Held(int(to), packed) for to, packed in fields.items()]) for name, fields in items]

    async def relay(self, source: int) -> None:
        for _, held in await self.owed(source):
            for one in held:
                (told,) = await self.send(one.to, [one])
                assert told.how in (APPLIED, BEFORE), "the outbox has all that is owed, in order"

    @rule(source=numbers)
    def what_is_credited_is_trimmed(self, source: int) -> None:
        self.run(self.trim(source))

    async def trim(self, source: int) -> None:
        """Only what WAIT has confirmed may be: from then on no destination comes back to before."""
        epoch = int(await self.redis.hget(f"{self.bases[source]}:line", "epoch") or 0)
        done, reached = [], {}
        for name, held in await self.owed(source):
            told = [(one.to, (await self.send(one.to, [one]))[0]) for one in held]
            if all(each.how == BEFORE for _, each in told):
                done.append(name)
                reached.update({to: each.epoch for to, each in told})
        for to in reached:
            self.snapshots.pop(to, None)
        await self.debit_some(source, [], Riding(reached, epoch, done))

    # What befalls partitions.

    @rule(number=numbers)
    def a_replica_is_left_behind(self, number: int) -> None:
        self.run(self.leave_behind(number))

    async def leave_behind(self, number: int) -> None:
        names = [name async for name in self.redis.scan_iter(f"{self.bases[number]}:*")]
        self.snapshots[number] = Snapshot({name: await self.redis.dump(name) for name in names})

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def it_takes_over(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.snapshots)))
        self.run(self.restore(number))

    async def restore(self, number: int) -> None:
        base = self.bases[number]
        async for name in self.redis.scan_iter(f"{base}:*"):
            await self.redis.delete(name)
        for name, value in self.snapshots[number].keys.items():
            await self.redis.restore(name, 0, value)
        await self.begin_anew(number)

    @rule(number=numbers)
    def a_partition_s_master_is_another(self, number: int) -> None:
        self.run(self.begin_anew(number))

    async def begin_anew(self, number: int) -> None:
        """Its replication id is no longer the one under which it has written."""
        self.lineages += 1
        self.world.clock[0] += 1
        await self.redis.hset(f"{self.bases[number]}:line", "lineage", f"{self.lineages}")

    @rule(number=numbers)
    def what_is_parked_expires(self, number: int) -> None:
        async def expire() -> None:
            for source in range(PARTITIONS):
                await self.redis.delete(f"{self.bases[number]}:park/{source}")

        self.run(expire())

    # What holds.

    async def settle(self) -> None:
        """Each pair has one more, by which what is lost is noticed."""
        for source in range(PARTITIONS):
            await self.debit_some(source, list(range(PARTITIONS)))
            await self.relay(source)

    async def check(self) -> None:
        for source, base in enumerate(self.bases):
            debits = [entry for entry in await self.entries(base) if isinstance(entry, Debit)]
            for to, host in enumerate(self.bases):
                given = [entry.key for entry in debits if entry.room == self.rooms[to].id]
                credits = [entry for entry in await self.entries(host) if isinstance(entry, Credit)]
                got = [entry.key for entry in credits if entry.user == self.users[source]]
                assert len(set(got)) == len(got), "credited twice"
                assert [key for key in got if key in set(given)] == given, "lost, or out of order"
                await self.check_fences(source, to, set(got) - set(given))

    async def check_fences(self, source: int, to: int, lost: set[bytes]) -> None:
        items = [fields for _, fields in await self.redis.xrange(f"{self.bases[to]}:fenced")]
        named = set()
        for fields in items:
            if int(fields[b"source"]) == source:
                had, by = int(fields[b"had"]), int(fields[b"lost"])
                assert had < by
                for seq in range(int(fields[b"from"]), int(fields[b"to"]) + 1):
                    known = [(of, one) for (s, t, of, one) in self.blobs if (s, t, one) == (source, to, seq)]
                    of = max(epoch for epoch, _ in known if epoch <= had)
                    named |= {key for key in self.blobs[source, to, of, seq] if key in lost}
        assert named == lost, "credited, lost, and not named"
        assert bool(items) or not lost

    async def entries(self, base: str) -> list[Any]:
        items = await self.redis.xrange(f"{base}:ledger")
        return [entry for _, fields in items for entry in parse_entries(fields[b"e"])]
