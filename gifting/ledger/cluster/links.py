"""The links to all masters of a cluster, and by which of them a call goes, now and when the cluster changes.

What certainly has not run is sent again, with the same keys: to the master that MOVED names at once, else after a
moment, when the cluster has been asked again who has which slots. ASK is not followed: a slot that migrates key by key
answers TRYAGAIN to every call until it is where it goes. What was sent and not answered ends as such: whoever sent it
knows whether it may be said twice.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from time import monotonic
from typing import Any, Final

from redis.exceptions import ClusterDownError, MovedError

from gifting.ledger.address import Address
from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.cluster.link import Call, Link, Pace, Query
from gifting.ledger.cluster.map import Map
from gifting.ledger.cluster.rounds import Rounds
from gifting.ledger.cluster.topology import Node, Topology
from gifting.ledger.connector import Connector
from gifting.ledger.redis_errors import Fate, fate
from gifting.tasks import end

REROUTE_PAUSE: Final = 0.03
"""Seconds until a call that a node turned away is sent again."""


class Links:
    """One :class:`Link` per master that a call was for, which is reached as ``address`` says."""

    def __init__(self, cluster: Map, address: ClusterAddress, pace: Pace) -> None:
        self._cluster = cluster
        self._address = address
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._links: dict[Node, Link] = {}
        self._tasks: dict[Node, list[asyncio.Task[None]]] = defaultdict(list)
        self._waiting: list[Callable[[], None]] = []
        self._rerouting: asyncio.Task[None] | None = None
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self.rounds = Rounds()
        cluster.changed.append(self._follow)

    def send(self, call: Call) -> None:
        """With the next round of the master that has its slot."""
        try:
            self._link(self._cluster.master_of(call.slot)).take(call)
        except ClusterDownError as error:
            self._send_later(call, error)

    def ask(self, query: Query) -> None:
        """Of the master that has its slot, at once."""
        try:
            link = self._link(self._cluster.master_of(query.slot))
        except ClusterDownError as error:
            self._ask_later(query, error)
            return
        if link.asking.up:
            link.ask(query, self._end_query)
        else:
            self._ask_later(query, ClusterDownError("its master can't be reached"))

    def _link(self, node: Node) -> Link:
        link = self._links.get(node)
        if link is None:
            connector, asking = self._keep(node, "link"), self._keep(node, "questions")
            link = self._links[node] = Link(node, connector, asking, self._pace, self._end_call, self.rounds)
            connector.tried.append(lambda: self._tried(link))
        return link

    def _keep(self, node: Node, what: str) -> Connector:
        """A connection to it from now on."""
        connector = Connector(Address(self._address.url_of(node.host, node.port)), self._pace.timeout)
        task = self._loop.create_task(connector.run(), name=f"ledger: {what} to {node}")
        task.add_done_callback(self._fail)
        self._tasks[node].append(task)
        return connector

    # What comes of it.

    def _end_call(self, call: Call, reply: Any, held: bool) -> None:
        if isinstance(reply, Exception):
            became = fate(reply)
            if became is Fate.FORGOTTEN:
                call.whole = True
                self.send(call)
                return
            if became is Fate.NOT_RUN:
                self._send_later(call, reply)
                return
        call.done(reply, held)

    def _end_query(self, query: Query, replies: list[Any] | Exception) -> None:
        if isinstance(replies, Exception):
            self._ask_later(query, replies)
        else:
            query.done(replies)

    def _send_later(self, call: Call, error: Exception) -> None:
        """It has not run: it goes again, unless its time is over."""
        if self._is_over(call.until):
            call.done(error, False)
        else:
            self._reroute(lambda: self.send(call), error)

    def _ask_later(self, query: Query, error: Exception) -> None:
        if self._is_over(query.until):
            query.done(error)
        else:
            self._reroute(lambda: self.ask(query), error)

    def _is_over(self, until: float) -> bool:
        return monotonic() >= until or self._failed.done()

    def _reroute(self, again: Callable[[], None], error: Exception) -> None:
        """``again`` is called when the cluster has been asked, which is at once where a node says who has the slot."""
        self._waiting.append(again)
        if self._rerouting is None:
            pause = 0.0 if isinstance(error, MovedError) else REROUTE_PAUSE
            self._rerouting = self._loop.create_task(self._look(pause), name="ledger: rerouting")

    async def _look(self, pause: float) -> None:
        await asyncio.sleep(pause)
        with suppress(*REDIS_ERRORS):
            await self._cluster.refresh()
        self._rerouting = None
        waiting, self._waiting = self._waiting, []
        for again in waiting:
            again()

    def _tried(self, link: Link) -> None:
        """There is no connection: what it was to carry may have another master meanwhile."""
        for call in link.give_back():
            self._send_later(call, ClusterDownError("its master can't be reached"))

    # Who has which slots has changed.

    def _follow(self, topology: Topology) -> None:
        """Links to nodes that are no masters any more end, once they owe nothing."""
        masters = set(topology.masters)
        for node in [node for node in self._links if node not in masters]:
            self.rounds.forget(node)
            for call in self._links[node].give_back():
                self.send(call)
            if self._links[node].idle:
                self._links.pop(node).close()
                for task in self._tasks.pop(node):
                    task.cancel()

    # Their life.

    async def run(self) -> None:
        """For ever: keep the links. Raises what a function raised that took a reply."""
        try:
            await self._failed
        finally:
            self.close()
            tasks = [*chain(*self._tasks.values()), *((self._rerouting,) if self._rerouting else ())]
            await end(tasks)

    def close(self) -> None:
        """Send nothing more."""
        if not self._failed.done():
            self._failed.cancel()
        self._cluster.changed.remove(self._follow)
        for link in self._links.values():
            link.close()

    def _fail(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)
