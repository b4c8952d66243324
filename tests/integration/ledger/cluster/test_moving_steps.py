"""A move that ends anywhere is run again, or given up; two of them, and whoever must not be there, harm nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

from gifting.config import load
from gifting.errors import (
    BadSetting,
    BooksArriving,
    BooksMoved,
    GiftingError,
    NoRedis,
    OtherBooks,
    SourceInUse,
    Unmovable,
)
from gifting.ledger.audit import audit
from gifting.ledger.cluster.router import Router
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.connect import connect
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node
from gifting.ledger.halt import FIELD, open_books
from gifting.ledger.keys import Keys
from gifting.ledger.meta import Meta
from gifting.ledger.moved import ARRIVING, MOVED
from gifting.ledger.moving.crossing import Tally
from gifting.ledger.moving.mover import mover
from gifting.ledger.moving.source import Source
from tests.support.clusters import own_cluster
from tests.support.plain import plain, with_epochs
from tests.support.world import World, a_world

pytestmark = pytest.mark.one_redis("it is moved from there")

FLAGS: dict[str, Any] = {"partitions": 2, "like_interval": 0}
HERE, THERE = Keys("gifting", 2), Keys("gifting", 2, tags(2))
STEPS_MAX = 200


class Both:
    """One Redis with books, and a cluster without."""

    def __init__(self, url: str, cluster_url: str, here: Any, there: Any) -> None:
        self.url, self.cluster_url, self.here, self.there = url, cluster_url, here, there
        self.settings = load({"redis": cluster_url}, environ={})

    async def move(self, told: Callable[[int, Tally], None] = lambda *_: None) -> Tally:
        async with mover(self.url, self.settings) as one:
            assert await one.find()
            return await one.move(told)

    async def done(self) -> bool:
        async with mover(self.url, self.settings) as one:
            return not await one.find()

    async def begin_anew(self) -> None:
        await self.here.hdel(HERE.meta, MOVED, FIELD)
        await self.there.flushall()

    async def starts(self, redis: Any, keys: Keys) -> bool:
        """Whether a server would; None is there yet where nothing has come."""
        if not await redis.exists(keys.meta):
            return False
        try:
            await Meta(redis, keys.meta, load(FLAGS, environ={})).agree()
        except (BooksMoved, BooksArriving):
            return False
        return not await redis.hexists(keys.meta, FIELD)

    async def check(self) -> None:
        """All is there, and only there."""
        assert await plain(self.there, THERE) == with_epochs(await plain(self.here, HERE))
        assert await self.starts(self.there, THERE)
        assert not await self.starts(self.here, HERE)
        report = await audit(self.there, THERE)
        assert report.clean, report.lines()


@pytest.fixture
async def both(redis_client: Any, redis_url: str, module_cluster: EmbeddedCluster) -> AsyncIterator[Both]:
    async with connect(module_cluster.url, 20.0) as there:
        await there.flushall()
        async with a_world(redis_url, **FLAGS) as world:
            await live(world)
        yield Both(redis_url, module_cluster.url, redis_client, there)


async def live(world: World) -> None:
    await world.grant("ann", 100)
    await world.grant("bob", 100)
    await world.send("ann", count=3)
    await world.send("bob")


class Death:
    """At a call of the cluster, or of what is written on the old Redis: before it, or after it and unanswered."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left, self.after = -1, False
        for owner, name in ((Router, "say"), (Source, "halt"), (Source, "leave")):
            patch.setattr(owner, name, self._dying(getattr(owner, name)))

    def _dying(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def dying(*args: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Lost("dead, before")
            result = await method(*args)
            if self.left == 0:
                raise Lost("dead, after")
            return result

        return dying


@pytest.mark.parametrize("after", [False, True])
async def test_it_may_end_at_any_step_and_be_run_again(
    both: Both, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    death = Death(monkeypatch)
    for step in range(1, STEPS_MAX):
        death.left, death.after = step, after
        try:
            await both.move()
        except Lost:
            pass
        else:
            break
        finally:
            death.left = -1
        old, new = await both.starts(both.here, HERE), await both.starts(both.there, THERE)
        assert not (old and new)
        if not await both.done():
            assert not new
            await both.move()
        await both.check()
        await both.begin_anew()
    assert 12 < step < STEPS_MAX
    await both.check()


async def test_who_stays_with_the_old_books_may_move_them_later(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came, changed and went meanwhile is so on the cluster too."""
    death = Death(monkeypatch)
    for step in (8, 16):
        death.left = step
        with pytest.raises(Lost):
            await both.move()
        assert not await both.starts(both.there, THERE)
        assert await open_books(both.here, HERE.meta)
        async with a_world(both.url, **FLAGS) as world:
            world.clock[0] += step * 10**6
            await live(world)
            await world.forget()
            room = await world.ledger.rooms.open(f"r{step}", "host", "Host", "")
            await world.send("ann", room=room)
            await world.ledger.rooms.end(room)
    death.left = -1
    await both.move()
    await both.check()


async def test_a_run_that_was_held_up_undoes_nothing(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one has finished, and servers have begun."""
    say, held, goes_on = Router.say, asyncio.Event(), asyncio.Event()
    late: list[Any] = []

    async def holding(router: Router, requests: Any) -> Any:
        if b"ZADD" in repr(requests).encode() and not late:
            late.append(requests)
            held.set()
            await goes_on.wait()
        return await say(router, requests)

    monkeypatch.setattr(Router, "say", holding)
    slow = asyncio.create_task(both.move())
    await held.wait()
    await both.move()
    async with a_world(both.cluster_url, **FLAGS) as world:
        await live(world)
        before = await plain(both.there, THERE)
        goes_on.set()
        with pytest.raises(BooksMoved):
            await slow
        assert await plain(both.there, THERE) == before


async def test_two_at_once_end_well(both: Both) -> None:
    done = await asyncio.gather(both.move(), both.move(), return_exceptions=True)
    assert any(isinstance(one, Tally) for one in done), done
    assert all(isinstance(one, Tally | GiftingError) for one in done), done
    await both.check()


async def test_what_is_written_meanwhile_is_there_too(both: Both) -> None:
    """Whoever it was, and if all was alike before: the old books are left when nothing was written since."""
    wrote: list[int] = []

    def told(number: int, tally: Tally) -> None:
        if tally.alike and len(wrote) < 3:
            wrote.append(number)
            asyncio.get_running_loop().create_task(both.here.hset(f"{HERE.bases[1]}:deliveries", f"x{number}", "y"))

    await both.move(told)
    assert wrote == [2, 4, 6]
    await both.check()
    assert await both.there.hlen(f"{THERE.bases[1]}:deliveries") == 3


async def test_who_writes_again_and_again_is_told_of(both: Both) -> None:
    def told(number: int, tally: Tally) -> None:
        asyncio.get_running_loop().create_task(both.here.hincrby(f"{HERE.bases[1]}:floors", "x", 1))

    with pytest.raises(SourceInUse, match="again and again"):
        await both.move(told)
    assert not await both.starts(both.there, THERE)
    assert await open_books(both.here, HERE.meta)
    assert await both.starts(both.here, HERE)


async def owner(cluster: EmbeddedCluster, slot: int) -> Node | None:
    with suppress(NoRedis):  # while it is being replaced
        return await cluster.owner(slot)
    return None


@pytest.mark.attack
async def test_a_master_may_die_meanwhile(both: Both) -> None:
    """It waits for the replica that takes over, or is run again."""
    async with own_cluster(node_timeout=1.0) as cluster, connect(cluster.url, 20.0) as there:
        both.settings, both.there = load({"redis": cluster.url}, environ={}), there
        killed: list[asyncio.Task[None]] = []

        async def kill() -> None:
            master = await cluster.owner(slot := slot_of(THERE.bases[1]))
            await cluster.kill(master.id)
            while await owner(cluster, slot) in (None, master):
                await asyncio.sleep(0.05)
            await cluster.restart(master.id)

        def told(number: int, tally: Tally) -> None:
            if not killed:
                killed.append(asyncio.create_task(kill()))

        with suppress(RedisError, OSError):
            await both.move(told)
        await asyncio.wait_for(killed[0], 60)
        await cluster.settle()
        if not await both.done():
            await both.move()
        await both.check()


async def test_it_is_not_begun_beside_a_server(both: Both) -> None:
    async with a_world(both.url, **FLAGS) as world:
        feed = world.ledger.engine.feed("node", lambda _: None, lambda _: None, {world.ledger.keys.notices: print})
        task = asyncio.create_task(feed.run())
        await feed.ready()
        with pytest.raises(SourceInUse, match="1 server processes"):
            await both.move()
        task.cancel()
    assert not await both.there.keys()
    assert await both.starts(both.here, HERE)


async def test_it_is_not_finished_beside_one(both: Both) -> None:
    """Somebody has opened the old books while they were copied."""

    def told(number: int, tally: Tally) -> None:
        if number == 2:
            asyncio.get_running_loop().create_task(open_books(both.here, HERE.meta))

    with pytest.raises(SourceInUse, match="opened these books again"):
        await both.move(told)
    assert await both.starts(both.here, HERE)
    assert not await both.starts(both.there, THERE)


async def test_books_that_are_halted_for_another_reason_are_not_moved(both: Both) -> None:
    await both.here.hset(HERE.meta, FIELD, "then, a script failed")
    with pytest.raises(Unmovable, match="then, a script failed"):
        await both.move()
    assert not await both.there.exists(THERE.meta)


@pytest.mark.parametrize("key", ["unheard-of", "coins", "room:r1/unheard-of"])
async def test_what_nobody_knows_is_not_moved_nor_left_behind(both: Both, key: str) -> None:
    await both.here.delete(f"{HERE.bases[1]}:{key}")
    await both.here.set(f"{HERE.bases[1]}:{key}", "what is this?")
    with pytest.raises(Unmovable, match=key):
        await both.move()
    assert not await both.starts(both.there, THERE)


async def test_a_cluster_with_books_is_left_alone(both: Both, redis_client: Any) -> None:
    async with a_world(both.cluster_url, **FLAGS):
        pass
    before = await plain(both.there, THERE)
    with pytest.raises(OtherBooks):
        await both.move()
    await both.there.delete(THERE.meta)  # even if it has lost its first partition
    with pytest.raises(OtherBooks):
        await both.move()
    assert await plain(both.there, THERE) == before
    assert await both.starts(both.here, HERE)


async def test_a_cluster_that_others_are_moved_to_is_left_alone(both: Both) -> None:
    await both.there.hset(THERE.meta, ARRIVING, "others")
    with pytest.raises(OtherBooks, match="Others are moved there"):
        await both.move()


async def test_where_others_have_come_meanwhile_nothing_is_written(both: Both) -> None:
    async with mover(both.url, both.settings) as one:
        assert await one.find()
        async with a_world(both.cluster_url, **FLAGS):
            before = await both.there.hgetall(THERE.meta)
        with pytest.raises(OtherBooks, match="by now"):
            await one.move(lambda *_: None)
    assert await both.there.hgetall(THERE.meta) == before
    assert await both.starts(both.there, THERE)


async def test_books_are_moved_to_one_place(both: Both) -> None:
    await both.move()
    assert await both.done()
    await both.there.flushall()
    with pytest.raises(BooksMoved, match=r"UTC, to 127\.0\.0\.1:"):
        await both.move()


async def test_copies_that_were_given_up_are_not_opened_when_the_books_are_elsewhere(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    death = Death(monkeypatch)
    death.left = 10
    with pytest.raises(Lost):
        await both.move()
    death.left = -1
    await both.here.hset(HERE.meta, MOVED, "then, to another cluster (a name)")
    async with mover(both.url, both.settings) as one:
        with pytest.raises(BooksMoved, match="to another cluster"):
            await one.find()
        with pytest.raises(BooksMoved, match="to another cluster"):
            await one.move(lambda *_: None)
    assert not await both.starts(both.there, THERE)


async def test_two_runs_to_two_clusters_open_one(both: Both) -> None:
    def told(number: int, tally: Tally) -> None:
        if tally.alike:
            asyncio.get_running_loop().create_task(both.here.hset(HERE.meta, MOVED, "now, to another (a name)"))

    with pytest.raises(BooksMoved, match="to another"):
        await both.move(told)
    assert not await both.starts(both.there, THERE)


async def test_only_one_redis_is_moved_and_only_to_a_cluster(both: Both) -> None:
    with pytest.raises(BadSetting, match="no books under the prefix others"):
        async with mover(both.url, load({"redis": both.cluster_url, "key_prefix": "others"}, environ={})):
            pass
    with pytest.raises(BadSetting, match="are not moved"):
        async with mover(both.cluster_url, both.settings):
            pass
