"""A Redis Cluster on which a promise would not hold is refused at the start, by what is wrong; later it is told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from gifting import errors
from gifting.api.metrics import TABLE
from gifting.bench.soak.shim import FaultShim
from gifting.config import load
from gifting.health import Health
from gifting.ledger.cluster import checks, faults
from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.cluster.awaited import AtLeast, awaited
from gifting.ledger.cluster.birth import BORN, bear, require_born
from gifting.ledger.cluster.checks import PART, Checks
from gifting.ledger.cluster.exchange import Exchange
from gifting.ledger.cluster.keeping import LONGEST, USUAL
from gifting.ledger.cluster.layout import LAYOUT, layout_of
from gifting.ledger.cluster.map import Map
from gifting.ledger.cluster.rounds import Rounds
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.cluster.topology import Node
from gifting.ledger.connect import connect
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.node import Node as EmbeddedNode
from gifting.ledger.engine import ClusterEngine
from gifting.ledger.keys import Keys
from gifting.ledger.ledger import Ledger
from gifting.ledger.resp import Words
from gifting.ledger.safety import WANTED
from gifting.model.catalog import load_catalog
from gifting.model.packing import pack
from gifting.tasks import end
from tests.support.clusters import own_cluster, shared_cluster
from tests.support.engine import redis_binary
from tests.support.waiting import until

RISKS = {
    "appendonly": "no",
    "appendfsync": "everysec",
    "no-appendfsync-on-rewrite": "yes",
    "maxmemory-policy": "allkeys-lru",
}
METRICS = ("gifting_outbox_", "gifting_fenced", "gifting_cluster_")
PROBES = tuple(f"test:{{{tag}}}:waited" for tag in tags(16))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddedCluster]:
    with shared_cluster() as cluster:
        yield cluster


@asynccontextmanager
async def checked(
    cluster: EmbeddedCluster,
    user: str = "",
    probes: tuple[str, ...] = PROBES,
    rounds: Rounds | None = None,
    **flags: Any,
) -> AsyncIterator[Checks]:
    url = cluster.url.replace("://", f"://{user}@") if user else cluster.url
    address, exchanges = ClusterAddress(url), dict[int, Exchange]()

    async def ask(node: Node, commands: Sequence[Words]) -> list[Any]:
        if node.port not in exchanges:  # whatever name it announces
            exchanges[node.port] = Exchange(address.url_of("127.0.0.1", node.port), 3)
        return await exchanges[node.port](commands)

    known = Map(address)
    try:
        settings = load({"redis": url, **flags}, environ={})
        held_by = awaited(settings.replicas_waited, settings.every_replica, known, lambda: LONGEST)
        yield Checks(known, ask, probes, settings, held_by, rounds or Rounds())
    finally:
        await known.close()
        await asyncio.gather(*(exchange.close() for exchange in exchanges.values()))


async def require(cluster: EmbeddedCluster, user: str = "", **flags: Any) -> Checks:
    async with checked(cluster, user, PROBES, **flags) as found:
        await found.require()
    return found


@asynccontextmanager
async def set_to(cluster: EmbeddedCluster, setting: str, value: str, *ids: str) -> AsyncIterator[None]:
    was = {id: (await cluster.nodes[id].call("CONFIG", "GET", setting))[setting.encode()] for id in ids}
    for id in ids:
        await cluster.nodes[id].call("CONFIG", "SET", setting, value)
    try:
        yield
    finally:
        for id in ids:
            await cluster.nodes[id].call("CONFIG", "SET", setting, was[id])


async def a_master(cluster: EmbeddedCluster) -> str:
    return next(iter(await cluster.masters())).id


async def a_replica(cluster: EmbeddedCluster) -> str:
    return (await cluster.replicas(next(iter(await cluster.masters()))))[0].id


async def test_a_sound_cluster_is_taken_and_one_replica_is_warned_of(
    shared: EmbeddedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    found = await require(shared)
    assert (found.alone, found.silent, found.failovers) == (0, 0, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "With one replica only" in caplog.text
    assert "two are recommended" in caplog.text


def test_every_wanted_setting_has_its_risk() -> None:
    assert RISKS.keys() == WANTED.keys()


@pytest.mark.parametrize("pick", [a_master, a_replica])
@pytest.mark.parametrize("setting", RISKS)
async def test_a_setting_that_can_lose_gifts_is_refused_on_any_node(
    shared: EmbeddedCluster, setting: str, pick: Callable[[EmbeddedCluster], object], caplog: pytest.LogCaptureFixture
) -> None:
    id = await pick(shared)  # type: ignore[misc]
    port = shared.nodes[id].port
    said = rf"127.0.0.1:{port}: {setting} {RISKS[setting]}.*must be {setting} {WANTED[setting]}"
    async with set_to(shared, setting, RISKS[setting], id):
        with pytest.raises(errors.ClusterUnsafe, match=said):
            await require(shared)
        caplog.clear()
        await require(shared, allow_unsafe_redis=True)
    assert f"127.0.0.1:{port}: {setting} {RISKS[setting]}" in caplog.text


@pytest.mark.parametrize(
    ("setting", "value", "error"),
    [
        ("cluster-require-full-coverage", "yes", errors.ClusterAllOrNothing),
        ("min-replicas-to-write", "0", errors.ClusterUnguarded),
        ("min-replicas-max-lag", "0", errors.ClusterUnguarded),
        ("cluster-replica-validity-factor", "0", errors.ClusterStale),
    ],
)
async def test_a_guard_that_is_off_on_a_replica(
    shared: EmbeddedCluster, setting: str, value: str, error: type[errors.UnfitCluster]
) -> None:
    id = await a_replica(shared)
    async with set_to(shared, setting, value, id):
        with pytest.raises(error, match=f"on 127.0.0.1:{shared.nodes[id].port}"):
            await require(shared)
        if error is not errors.ClusterAllOrNothing:
            await require(shared, durability="disk")
    await require(shared)


@asynccontextmanager
async def user_without_config(cluster: EmbeddedCluster) -> AsyncIterator[str]:
    for node in cluster.nodes.values():
        await node.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config")
    try:
        yield "app:secret"
    finally:
        for node in cluster.nodes.values():
            await node.call("ACL", "DELUSER", "app")


async def test_a_cluster_that_does_not_tell_is_refused_unless_a_service_keeps_it(shared: EmbeddedCluster) -> None:
    async with user_without_config(shared) as user:
        with pytest.raises(
            errors.ClusterUntold, match=r"and 2 more do not tell.*appendfsync always.*durability managed"
        ):
            await require(shared, user)
        await require(shared, user, allow_unsafe_redis=True)
        await require(shared, user, durability="managed")
        async with set_to(shared, "maxmemory-policy", "volatile-lru", await a_replica(shared)):
            with pytest.raises(errors.ClusterUnsafe, match="maxmemory-policy volatile-lru"):
                await require(shared, user, durability="managed")


async def test_what_is_kept_follows_the_settings_of_all_nodes(shared: EmbeddedCluster) -> None:
    async with checked(shared) as found:
        await found.require()
        assert found.keeping.ms == 2_000 * 10 + 10_000 + 60_000
        async with set_to(shared, "repl-timeout", "90", await a_replica(shared)):
            await found.require()
            assert found.keeping.ms == 120_000, "the longest holds"
        await found.require()
        assert found.keeping.ms == 90_000
    async with user_without_config(shared) as user, checked(shared, user, allow_unsafe_redis=True) as found:
        await found.require()
        assert found.keeping.ms == USUAL


async def test_who_keeps_the_cluster_itself_does_not_call_it_managed(shared: EmbeddedCluster) -> None:
    with pytest.raises(errors.ClusterService, match="leave --durability managed out"):
        await require(shared, durability="managed")


@asynccontextmanager
async def named(cluster: EmbeddedCluster, host: str) -> AsyncIterator[None]:
    every = list(cluster.nodes)
    async with (
        set_to(cluster, "cluster-announce-hostname", host, *every),
        set_to(cluster, "cluster-preferred-endpoint-type", "hostname", *every),
    ):
        yield
        async with asyncio.timeout(30):
            await _until_named(cluster, host)


async def _until_named(cluster: EmbeddedCluster, host: str) -> None:
    for node in cluster.nodes.values():
        while str(await node.call("CLUSTER", "SHARDS")).count(host) < 2 * len(cluster.nodes):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("host", "version", "durability", "said"),
    [
        ("a.x.0001.use1.cache.amazonaws.com", (9, 0), "replica", "This is ElastiCache.*needs --durability managed"),
        ("a.x.0001.use1.cache.amazonaws.com", (9, 0), "disk", "This is ElastiCache.*needs --durability managed"),
        ("a.x.0001.use1.cache.amazonaws.com", (99, 0), "managed", "ElastiCache with version.*durability sync"),
        ("a-0001-001.a.x.memorydb.us-east-1.amazonaws.com", (9, 0), "replica", "This is MemoryDB.*needs --durability"),
    ],
)
async def test_a_managed_service_is_known_by_its_name(
    shared: EmbeddedCluster,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    version: tuple[int, int],
    durability: str,
    said: str,
) -> None:
    monkeypatch.setattr(faults, "LOGGED_SINCE", version)
    async with user_without_config(shared) as user, named(shared, host):
        await _until_named(shared, host)
        with pytest.raises(errors.ClusterService, match=said):
            await require(shared, user, durability=durability)


async def test_services_that_keep_what_they_acknowledge_are_taken(
    shared: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(faults, "LOGGED_SINCE", (7, 0))
    for host, warned in (("a.memorydb.us-east-1.amazonaws.com", False), ("a.use1.cache.amazonaws.com.cn", True)):
        caplog.clear()
        async with user_without_config(shared) as user, named(shared, host):
            await _until_named(shared, host)
            await require(shared, user, durability="managed")
        assert ("EffectiveDurability must be sync" in caplog.text) is warned


async def test_a_slot_that_nobody_serves(shared: EmbeddedCluster) -> None:
    owner = await shared.owner(5)
    await owner.call("CLUSTER", "DELSLOTS", 5)
    try:
        with pytest.raises(errors.ClusterDown, match=rf"Not all 16384 slots are served.*:{owner.port} \(16383\)"):
            await require(shared)
    finally:
        await owner.call("CLUSTER", "ADDSLOTS", 5)
    await shared.settle()
    await require(shared)


async def test_a_cluster_most_of_whose_masters_are_dead() -> None:
    async with own_cluster(node_timeout=1.0) as cluster:
        first, *_ = await cluster.masters()
        for node in list(cluster.nodes.values()):
            if node not in (first, *(await cluster.replicas(first))):
                await cluster.kill(node.id)

        async def down() -> bool:
            return b"cluster_state:ok" not in await first.call("CLUSTER", "INFO")

        await until(down)
        with pytest.raises(errors.ClusterDown, match="The cluster is down"):
            await require(cluster)


async def test_an_older_redis(shared: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "LEAST_VERSION", (99, 0))
    with pytest.raises(errors.ClusterTooOld, match=r"Older than Redis 7.0: 127.0.0.1:\d+ \(\d+\.\d+\).*and 2 more"):
        await require(shared)


async def test_masters_without_replicas_take_gifts_on_their_disks_only(caplog: pytest.LogCaptureFixture) -> None:
    async with own_cluster(masters=3, replicas=0, settings={"min-replicas-to-write": "1"}) as cluster:
        with pytest.raises(errors.ClusterAlone, match=r"Without a replica that is up: .* --durability disk"):
            await require(cluster)
        found = await require(cluster, durability="disk")
    assert found.alone == 3
    assert "a failover can lose gifts" in caplog.text


async def test_a_replica_that_died_does_not_keep_a_server_from_starting(caplog: pytest.LogCaptureFixture) -> None:
    async with own_cluster(node_timeout=1.0) as cluster:
        id = await a_replica(cluster)
        await cluster.kill(id)
        found = await require(cluster)
        assert found.silent == 1
        assert f"127.0.0.1:{cluster.nodes[id].port} does not answer" in caplog.text
        async with asyncio.timeout(60):
            while not found.alone:
                await asyncio.sleep(0.1)
                found = await require(cluster)
        assert "Without a replica that is up" in caplog.text
        assert "taken for dead" in caplog.text


async def test_a_replica_that_hears_nothing_of_its_master(
    shared: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await a_replica(shared)
    await shared.cut(id)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(checks, "PROBE_TIMEOUT", 200)
            for durability, wanted in (("every-replica", "every"), ("replica", "1")):
                why = rf"not with {wanted} replica within 0 s: 127.0.0.1:\d+ \("
                with pytest.raises(errors.ClusterUnconfirmed, match=why):
                    await require(shared, durability=durability)
        await require(shared, durability="disk")
    finally:
        await shared.join(id)
    await require(shared)


async def test_what_is_tried_is_written_to_each_master_and_gone_soon(shared: EmbeddedCluster) -> None:
    async with checked(shared) as found:
        await found.require()
        owners = {key: await shared.owner(slot_of(key)) for key in PROBES}
        left = [await owner.call("PTTL", key) for key, owner in owners.items()]
        assert len([ms for ms in left if 0 < ms <= 60_000]) == 3
        found._awaited = AtLeast(2)  # as where another replica does not confirm
        with pytest.raises(errors.ClusterUnconfirmed, match=r"127.0.0.1:\d+ \(1 have it\)"):
            await found.require()


async def test_a_replica_that_follows_under_another_address_than_is_listed(shared: EmbeddedCluster) -> None:
    replica = shared.nodes[await a_replica(shared)]
    try:
        async with set_to(shared, "replica-announce-port", "1", replica.id):
            await follow_anew(shared, replica, 1)
            why = rf"127.0.0.1:{replica.port} does not follow, 127.0.0.1:1 does and is not listed"
            with pytest.raises(errors.ClusterUnconfirmed, match=why):
                await require(shared)
            await require(shared, durability="replica")
    finally:
        await follow_anew(shared, replica, replica.port)
    await require(shared)


async def follow_anew(cluster: EmbeddedCluster, replica: EmbeddedNode, port: int) -> None:
    """It says to its master again where it can be reached, which is at this port."""
    master = cluster.nodes[await a_master(cluster)]
    await replica.call("CLIENT", "KILL", "TYPE", "master")

    async def follows() -> bool:
        said = (await master.call("INFO", "replication")).get("slave0", {})
        return (said.get("port"), said.get("state")) == (port, "online")

    await until(follows)


async def test_partitions_that_are_not_spread_over_the_masters_are_warned_of(
    shared: EmbeddedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    for probes, said in (
        (PROBES[:1], "There are 3 masters for 1 partitions: 2 do nothing"),
        (tuple(key for key in PROBES if slot_of(key) < 7000), "are spread unevenly over the masters"),
    ):
        caplog.clear()
        async with checked(shared, probes=probes) as found:
            await found.require()
        assert said in caplog.text


@pytest.mark.skipif(not FaultShim.available(), reason="needs Linux and cc")
async def test_clocks_that_are_apart(shared: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    id = await a_replica(shared)
    try:
        with FaultShim(redis_binary().name) as shim:
            with monkeypatch.context() as patch:
                for name, value in shim.env.items():
                    patch.setenv(name, value)
                await shared.restart(id)
            await shared.settle()
            await require(shared)
            shim.step_clock(30.0)
            # At least so far: how long the questions took is left out.
            said = rf"The clock of 127.0.0.1:{shared.nodes[id].port} is (2\d\.\d|30\.0) s ahead"
            with pytest.raises(errors.ClusterClocks, match=said):
                await require(shared)
            shim.clear()
            await require(shared)
            await shared.kill(id)
    finally:
        await shared.restart(id)
        await shared.settle()


async def test_what_goes_wrong_later_is_told_until_it_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECK_EVERY", 0.1)
    async with own_cluster(node_timeout=1.0) as cluster, checked(cluster) as found:
        health = Health()
        await found.require()
        watch = asyncio.create_task(found.watch(health))
        master, id = await a_master(cluster), await a_replica(cluster)
        async with set_to(cluster, "appendfsync", "everysec", id):
            await until(lambda: "appendfsync everysec" in health.problems.get("redis", ""))
            assert not health.degraded, "it is told once"
        await until(lambda: not health.problems)
        await cluster.kill(master)
        await until(lambda: found.failovers == 1 and found.alone == 1)
        assert f"127.0.0.1:{cluster.nodes[master].port} does not answer" in health.degraded[PART]
        assert "Without a replica that is up" in health.degraded[PART]
        assert not health.problems
        async with set_to(cluster, "appendfsync", "everysec", id):  # it is a master now
            await until(lambda: "appendfsync everysec" in health.problems.get("redis", ""))
        await cluster.restart(master)
        await until(lambda: not health.problems and not health.degraded)
        assert (found.alone, found.silent, found.failovers) == (0, 0, 1)
        await end([watch])


async def test_writes_that_no_replica_confirms_are_told_until_they_are(
    shared: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "CHECK_EVERY", 0.1)
    rounds, master, health = Rounds(), next(iter(await shared.masters())), Health()
    async with checked(shared, rounds=rounds) as found:
        watch = asyncio.create_task(found.watch(health))
        rounds.note(node := Node("m", "127.0.0.1", master.port), monotonic() - 5, "127.0.0.1:1 does not follow")
        await until(lambda: PART in health.degraded)
        assert health.degraded[PART] == (
            f"What is written to 127.0.0.1:{master.port} has not counted for 5 s: 127.0.0.1:1 does not follow."
        )
        rounds.note(node, monotonic(), "")
        await until(lambda: not health.degraded)
        await end([watch])


async def test_a_ledger_checks_its_cluster_and_says_what_cant_be_changed(
    shared: EmbeddedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ledger = Ledger(shared.url, load({}, environ={}), load_catalog())
    try:
        await ledger.start()
        assert "16 partitions on 3 masters" in caplog.text
        key, kept = ledger.keys.meta, layout_of(ledger.keys)
        assert await ledger.redis.hget(key, LAYOUT) == kept.encode()
        async with set_to(shared, "appendfsync", "everysec", await a_replica(shared)):
            with pytest.raises(errors.ClusterUnsafe, match="appendfsync everysec"):
                await ledger.engine.require(Health())
        await ledger.redis.hset(key, LAYOUT, "2 of a later version")
        with pytest.raises(errors.ClusterLayout, match=r"laid out as '2 of a later version'.*can't be changed"):
            await ledger.engine.bear()
    finally:
        await ledger.redis.flushall()
        await ledger.stop()


async def test_metrics_tell_of_the_cluster(shared: EmbeddedCluster) -> None:
    ledger = Ledger(shared.url, load({}, environ={}), load_catalog())
    parts: Any = SimpleNamespace(ledger=ledger)
    try:
        await ledger.start()
        assert isinstance(ledger.engine, ClusterEngine)
        await ledger.redis.xadd(f"{ledger.keys.bases[3]}:fenced", {"noted": 1})
        await ledger.redis.hset(f"{ledger.keys.bases[5]}:line", "7", pack(1) + pack(((1, 0),)))
        await ledger.redis.xadd(f"{ledger.keys.bases[5]}:outbox", {"7": b"left"}, id=f"{ledger.now_ms() - 60_000}-0")
        await ledger.engine.relay.round()
        ledger.engine.checks.alone = 2
        ledger.engine.links.rounds.note(Node("m", "h", 1), monotonic() - 4, "0 have it")
        told: dict[str, Any] = {row.name: row.read(parts) for row in TABLE if row.name.startswith(METRICS)}
        await ledger.redis.xtrim(f"{ledger.keys.bases[5]}:outbox", maxlen=0)
        await ledger.engine.relay.round()
        assert not ledger.engine.relay.holes
    finally:
        await ledger.redis.flushall()
        await ledger.stop()
    assert 60 <= told.pop("gifting_outbox_seconds") < 120
    told["gifting_cluster_unheld_seconds"] = round(told["gifting_cluster_unheld_seconds"])
    assert told == {
        "gifting_outbox_entries": 1,
        "gifting_outbox_holes": 1,  # it can't be read
        "gifting_fenced": 1,
        "gifting_cluster_masters_alone": 2,
        "gifting_cluster_nodes_silent": 0,
        "gifting_cluster_failovers": 0,
        "gifting_cluster_unheld_seconds": 4,
    }


def test_another_number_of_partitions_is_another_layout() -> None:
    layouts = {layout_of(Keys("gifting", number, tags(number))) for number in (1, 8, 16, 64)}
    assert len(layouts) == 4


def test_the_layout_is_the_same_for_ever() -> None:
    assert layout_of(Keys("gifting", 16, tags(16))) == "1 ea516d2c6525"


@pytest.mark.parametrize("place", [0, 7])
async def test_who_starts_on_what_has_lost_a_partition_is_told_so(shared: EmbeddedCluster, place: int) -> None:
    ledger = Ledger(shared.url, load({}, environ={}), load_catalog())
    keys = ledger.keys
    try:
        await ledger.start()
        await ledger.redis.delete(f"{keys.bases[place]}:line", *([keys.meta] if place == 0 else []))
        other = Ledger(shared.url, load({}, environ={}), load_catalog())
        with pytest.raises(errors.ClusterLost, match=re.escape(f"nothing in {keys.bases[place]},")):
            await other.start()
        await other.stop()
        assert not await ledger.redis.exists(f"{keys.bases[place]}:line")
    finally:
        await ledger.redis.flushall()
        await ledger.stop()


async def test_a_first_start_that_died_half_way_is_begun_again(shared: EmbeddedCluster) -> None:
    redis, keys = connect(shared.url, 5.0), Keys("gifting", 16, tags(16))
    try:
        await bear(redis, keys)
        for name in (keys.meta, *(f"{base}:line" for base in keys.bases[9:])):
            await redis.delete(name)
        await require_born(redis, keys)
        await bear(redis, keys)
        assert all([await redis.hexists(f"{base}:line", BORN) for base in keys.bases])
    finally:
        await redis.flushall()
        await redis.aclose()
