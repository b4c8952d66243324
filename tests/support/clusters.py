"""Clusters that tests have for themselves, or share with their module or session."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from unittest.mock import patch

from gifting.errors import NoRedis
from gifting.ledger.cluster import credits
from gifting.ledger.embedded.binary import LOG_NAME
from gifting.ledger.embedded.cluster import EmbeddedCluster
from tests.support.engine import redis_binary
from tests.support.redis_server import folder_in_memory
from tests.support.waiting import WITHIN

FORMING_TIMEOUT: Final = 1.0
NODE_TIMEOUT: Final = 30.0
"""Of a cluster in which nobody is to be replaced, as the session's, seconds: the first while it is formed, which is
quicker so; the second as no test waits for an election there, and a machine that is busy with tests must not bring one
about by its silence."""

LINES: Final = 30
"""Of each node's log, that are shown where a cluster does not come about or together."""

UNGUARDED: Final = {"min-replicas-to-write": "0"}
"""Settings of masters that write without their replicas too, so that what waits for these is WAIT alone."""


@contextmanager
def _unstarted(**more: Any) -> Iterator[EmbeddedCluster]:
    with folder_in_memory() as folder:
        yield EmbeddedCluster(folder, **{"binary": redis_binary(), **more})


@asynccontextmanager
async def own_cluster(**more: Any) -> AsyncIterator[EmbeddedCluster]:
    """A test's own, that it may break: 3 masters with a replica each, unless ``more`` says otherwise."""
    with _unstarted(**more) as cluster:
        await cluster.start()
        try:
            yield cluster
        finally:
            await cluster.stop()


@asynccontextmanager
async def steady_cluster(**more: Any) -> AsyncIterator[EmbeddedCluster]:
    """As ``own_cluster``, in which nobody is replaced by itself."""
    async with own_cluster(node_timeout=FORMING_TIMEOUT, **more) as cluster:
        await be_patient(cluster)
        yield cluster


@contextmanager
def shared_cluster(**more: Any) -> Iterator[EmbeddedCluster]:
    """As ``own_cluster``, for fixtures that outlive the loops of tests."""
    with _unstarted(**more) as cluster:
        in_a_loop_of_its_own(cluster.start())
        try:
            yield cluster
        finally:
            in_a_loop_of_its_own(cluster.stop())


async def mend(cluster: EmbeddedCluster) -> None:
    """All its nodes run, and are one cluster."""
    for node in cluster.nodes.values():
        if node.paused:
            node.resume()
        elif not node.alive:
            await cluster.restart(node.id)
    with last_words(cluster, NoRedis):
        await cluster.settle()


@contextmanager
def last_words(cluster: EmbeddedCluster, failure: type[Exception]) -> Iterator[None]:
    """Such a failure comes with what the nodes logged last."""
    try:
        yield
    except failure as error:
        for node in cluster.nodes.values():
            said = (node.folder / LOG_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
            error.add_note("\n".join([f"{node.port}:", *said[-LINES:]]))
        raise


@contextmanager
def session_cluster() -> Iterator[EmbeddedCluster]:
    """One that no test breaks."""
    with shared_cluster(node_timeout=FORMING_TIMEOUT) as cluster:
        in_a_loop_of_its_own(be_patient(cluster))
        yield cluster


async def be_patient(cluster: EmbeddedCluster, seconds: float = NODE_TIMEOUT) -> None:
    """From now on nobody who is silent is replaced, for as long as a test pauses it or a busy machine holds it up."""
    for node in cluster.nodes.values():
        await node.call("CONFIG", "SET", "cluster-node-timeout", round(1000 * seconds))


@contextmanager
def told_when_credited() -> Iterator[None]:
    """No gift on a cluster is told as pending, however long a busy machine takes to credit it."""
    with patch.object(credits, "PENDING_AFTER", WITHIN):
        yield


def in_a_loop_of_its_own(work: Coroutine[Any, Any, object]) -> None:
    """For fixtures of a module or the session."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for error in failed:
        raise error
