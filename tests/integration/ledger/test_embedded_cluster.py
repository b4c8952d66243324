"""The cluster that is started for demos and tests: how it is formed, broken, mended and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError

from gifting.errors import NoRedis
from gifting.ledger.embedded import node as embedded_node
from gifting.ledger.embedded import ports as embedded_ports
from gifting.ledger.embedded.binary import LOG_NAME
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.moving import move, move_at_once, move_of, moves_at_once
from gifting.ledger.embedded.node import Node
from gifting.ledger.embedded.ports import HOST, Ports, free_ports
from tests.support.clusters import UNGUARDED, be_patient, own_cluster
from tests.support.redis_server import folder_in_memory
from tests.support.waiting import WITHIN, until

NODE_TIMEOUT = 0.5
KEY, SLOT = "foo", 12_182
SAME_SLOT = [f"{{{KEY}}}{number}" for number in range(250)]

a_cluster = partial(own_cluster, node_timeout=NODE_TIMEOUT)


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture
async def electing() -> AsyncIterator[EmbeddedCluster]:
    """A master that is silent for half a second is replaced."""
    async with a_cluster() as cluster:
        yield cluster


@pytest.fixture
async def cluster(electing: EmbeddedCluster) -> EmbeddedCluster:
    """Nobody is replaced, however busy the machine is; but who has changed is heard of in seconds only."""
    await be_patient(electing)
    return electing


def gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has reaped it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


async def get(node: Node) -> Any:
    return await node.call("GET", KEY)


async def put(node: Node, value: str, patience: float = WITHIN / 2) -> int:
    """On disk at the master, and at how many replicas."""
    async with node.client(WITHIN) as client:
        await client.set(KEY, value)
        return int(await client.wait(1, round(1000 * patience)))


async def test_masters_share_the_slots_and_have_a_replica_each(cluster: EmbeddedCluster) -> None:
    masters = await cluster.masters()
    assert sorted(slots for (slots,) in masters.values()) == ["0-5460", "10922-16383", "5461-10921"]
    assert [len(await cluster.replicas(master)) for master in masters] == [1, 1, 1]
    assert len(cluster.nodes) == 6
    assert cluster.url.count(",") == 5
    assert await cluster.owner(SLOT) in masters


async def test_settings_in_force(electing: EmbeddedCluster) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "cluster-require-full-coverage": "no",
        "cluster-node-timeout": "500",
        "min-replicas-to-write": "1",
        "bind": "127.0.0.1",
        "save": "",
    }
    for node in electing.nodes.values():
        async with node.client() as client:
            assert await client.config_get(*wanted) == wanted
        assert node.folder.stat().st_mode & 0o077 == 0


async def test_a_killed_master_is_replaced_and_comes_back_as_a_replica(electing: EmbeddedCluster) -> None:
    cluster = electing
    master = await cluster.owner(SLOT)
    (replica,) = await cluster.replicas(master)
    assert await put(master, "kept") == 1
    await cluster.kill(master.id)
    await cluster.settle()
    assert await cluster.owner(SLOT) is replica
    assert await get(replica) == b"kept"
    with pytest.raises(ResponseError, match="NOREPLICAS"):
        await put(replica, "alone")
    await cluster.restart(master.id)
    await cluster.settle()
    assert await cluster.replicas(replica) == [master]
    assert await put(replica, "again") == 1


async def test_a_node_that_closes_a_connection_amid_a_question_is_one_that_does_not_answer(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As uvloop says it, where redis-py has not heard of it yet."""

    async def execute_command(*_: object, **__: object) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    first, second, *_ = cluster.nodes.values()
    broken = first.client()
    monkeypatch.setattr(broken, "execute_command", execute_command)
    monkeypatch.setattr(first, "client", lambda *_: broken)
    with pytest.raises(ConnectionResetError, match="closed=True"):
        await first.call("PING")
    assert (await cluster._any_view()).peers == (await second.view()).peers


async def test_a_paused_node_answers_nothing_until_it_is_resumed(electing: EmbeddedCluster) -> None:
    cluster = electing
    (replica,) = await cluster.replicas(await cluster.owner(SLOT))
    replica.pause()
    with pytest.raises(RedisError):
        await replica.call("PING")
    await cluster.settle()  # without it
    replica.resume()
    await cluster.settle()
    assert await replica.call("PING") is True


@pytest.mark.parametrize("how", ["", "FORCE", "TAKEOVER"])
async def test_a_replica_is_promoted(electing: EmbeddedCluster, how: Any) -> None:
    cluster = electing
    master = await cluster.owner(SLOT)
    (replica,) = await cluster.replicas(master)
    await cluster.promote(replica.id, how)
    await cluster.settle()
    assert await cluster.owner(SLOT) is replica
    assert await cluster.replicas(replica) == [master]


async def test_a_replica_that_gave_up_is_asked_again(cluster: EmbeddedCluster) -> None:
    """As where the others are too busy to vote in time."""
    master = await cluster.owner(SLOT)
    (replica,) = await cluster.replicas(master)
    others = [node for node in await cluster.masters() if node is not master]
    for node in others:
        node.pause()
    promoting = asyncio.create_task(cluster.promote(replica.id))
    await until(lambda: "Manual failover timed out" in (replica.folder / LOG_NAME).read_text(encoding="utf-8"))
    assert not promoting.done()
    for node in others:
        node.resume()
    await promoting
    await cluster.settle()
    assert await cluster.owner(SLOT) is replica


@pytest.mark.parametrize("password", ["", "a 'word'"])
async def test_a_replica_whose_link_is_cut_lacks_what_is_written(password: str) -> None:
    async with a_cluster(password=password, settings=UNGUARDED) as cluster:
        await be_patient(cluster)
        master = await cluster.owner(SLOT)
        (replica,) = await cluster.replicas(master)
        assert await put(master, "old") == 1
        await cluster.cut(replica.id)
        assert await put(master, "new", patience=1) == 0
        async with replica.client() as client:
            await client.execute_command("READONLY")
            assert await client.get(KEY) == b"old"
        await cluster.join(replica.id)
        assert await put(master, "newer") == 1


async def test_nodes_are_added(electing: EmbeddedCluster) -> None:
    cluster = electing
    master = await cluster.add()
    replica = await cluster.add(master.id)
    assert master not in await cluster.masters()  # it has no slot
    await move(cluster, SLOT, SLOT, master.id)
    await cluster.settle()
    assert (await cluster.masters())[master] == (str(SLOT),)
    assert await cluster.replicas(master) == [replica]
    assert await put(master, "here") == 1


async def test_slots_move_key_by_key() -> None:
    async with a_cluster(masters=2, password="a 'word'") as cluster:
        source = await cluster.owner(SLOT)
        target = next(master for master in await cluster.masters() if master is not source)
        async with source.client() as client:
            await client.mset(dict.fromkeys(SAME_SLOT, "x"))
        way = await move_of(cluster, SLOT, target.id)
        await way.open()
        assert await way.some_keys(10) == 10
        with pytest.raises(ResponseError, match="Multiple keys request during rehashing"):
            await source.call("MGET", *SAME_SLOT)
        while await way.some_keys():
            pass
        await way.close()
        await move(cluster, SLOT - 1, SLOT + 1, target.id)
        await cluster.settle()
        assert [await cluster.owner(SLOT + beside) for beside in (-1, 0, 1)] == [target] * 3
        assert await target.call("MGET", *SAME_SLOT) == [b"x"] * len(SAME_SLOT)


async def test_slots_move_at_once_where_the_engine_can(cluster: EmbeddedCluster) -> None:
    if not await moves_at_once(cluster):
        pytest.skip("this engine moves them key by key only")
    source = await cluster.owner(SLOT)
    target = next(master for master in await cluster.masters() if master is not source)
    await put(source, "kept")
    await move_at_once(cluster, SLOT - 1, SLOT + 1, target.id)
    await cluster.settle()
    assert await cluster.owner(SLOT) is target
    assert await get(target) == b"kept"


async def test_a_stop_leaves_nothing_running() -> None:
    async with a_cluster(masters=1) as cluster:
        pids = [node.pid for node in cluster.nodes.values()]
        await cluster.stop()
        assert all(pid and gone(pid) for pid in pids)
    with pytest.raises(NoRedis):
        await cluster.masters()


async def test_a_taken_port_is_left_to_whom_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_cluster(masters=1, replicas=0) as first:
        (taken,) = first.nodes.values()
        ports = iter([Ports(taken.port, taken.bus)])
        monkeypatch.setattr(embedded_node, "free_ports", lambda: next(ports, None) or free_ports())
        async with a_cluster(masters=1, replicas=0) as second:
            (other,) = second.nodes.values()
            assert other.port != taken.port
            assert await put(other, "mine", patience=1) == 0
            assert await get(taken) is None


async def test_the_ports_of_a_node_that_is_dead_stay_its_own_until_the_end() -> None:
    async with a_cluster(masters=1) as cluster:
        node = await cluster.owner(SLOT)
        await cluster.kill(node.id)
        for port in (node.port, node.bus):
            with socket.socket(type=socket.SOCK_DGRAM) as probe, pytest.raises(OSError, match="in use"):
                probe.bind((HOST, port))
    for port in (node.port, node.bus):
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind((HOST, port))


def test_ports_that_are_kept_are_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = free_ports()
    monkeypatch.setattr(embedded_ports, "PORTS", (kept.port, kept.bus))
    with pytest.raises(NoRedis, match="Fewer than two"):
        free_ports()
    kept.release()
    kept.release()
    again = free_ports()
    assert {*again[:2]} == {*kept[:2]}
    with socket.socket() as listening:
        again.release()
        listening.bind((HOST, again.port))
        with pytest.raises(NoRedis, match="Fewer than two"):
            free_ports()


async def test_what_does_not_start_is_told(folder: Path) -> None:
    cluster = EmbeddedCluster(folder, settings={"no-such-setting": "1"})
    with pytest.raises(NoRedis, match="no-such-setting"):
        await cluster.start()
    assert not [node for node in cluster._every if node.pid]


ORPHANS = """
import asyncio, sys
from pathlib import Path
from gifting.ledger.embedded.cluster import EmbeddedCluster

async def main():
    cluster = EmbeddedCluster(Path(sys.argv[1]), masters=1)
    await cluster.start()
    print(*(node.pid for node in cluster.nodes.values()), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.attack
async def test_nodes_end_with_a_parent_that_is_killed(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHANS, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        pids = [int(pid) for pid in (await process.stdout.readline()).split()]
    finally:
        process.kill()
        await process.communicate()
    assert len(pids) == 2
    await until(lambda: all(map(gone, pids)))


@pytest.mark.attack
async def test_a_paused_node_ends_with_its_parent_too() -> None:
    async with a_cluster(masters=1, replicas=0) as cluster:
        (node,) = cluster.nodes.values()
        pid = node.pid
        node.pause()
        read_end, write_end = cluster._pipe or (0, 0)
        os.close(write_end)  # as the parent's end does
        cluster._pipe = None
        os.close(read_end)
        assert pid is not None
        await until(lambda: node.pid is None)
        assert node._process is not None
        assert node._process.returncode == -signal.SIGKILL
