"""A real cluster for the tests of a session: 3 masters and 3 replicas that no test breaks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

from gifting.ledger.embedded.cluster import EmbeddedCluster
from tests.support.engine import redis_binary
from tests.support.redis_server import folder_in_memory

FORMING_TIMEOUT: Final = 1.0
NODE_TIMEOUT: Final = 30.0
"""Of the session's cluster, seconds: the first while it is formed, which is quicker so; the second as no test kills a
node of it, and a machine that is busy with tests must not do so by its silence."""


@contextmanager
def session_cluster() -> Iterator[EmbeddedCluster]:
    """3 masters and 3 replicas, in memory where there is some."""
    with folder_in_memory() as folder:
        cluster = EmbeddedCluster(folder, binary=redis_binary(), node_timeout=FORMING_TIMEOUT)
        in_a_loop_of_its_own(_start(cluster))
        try:
            yield cluster
        finally:
            in_a_loop_of_its_own(cluster.stop())


async def _start(cluster: EmbeddedCluster) -> None:
    await cluster.start()
    for node in cluster.nodes.values():
        await node.call("CONFIG", "SET", "cluster-node-timeout", round(1000 * NODE_TIMEOUT))


def in_a_loop_of_its_own(work: Coroutine[Any, Any, None]) -> None:
    """For fixtures of the session, which outlive the loops of tests."""
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
