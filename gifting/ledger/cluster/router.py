"""Each request to the master that has its slot; again, if that was another, to the one that has it now."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import AuthenticationError, ClusterDownError, MovedError

from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.cluster.awaited import AtLeast, Awaited
from gifting.ledger.cluster.exchange import FAILURES, Exchange
from gifting.ledger.cluster.map import Map
from gifting.ledger.cluster.request import Request
from gifting.ledger.cluster.topology import Node, Topology
from gifting.ledger.redis_errors import NotSent, is_turned_away
from gifting.ledger.resp import Words
from gifting.tasks import together

PAUSE: Final = 0.03
"""Seconds before a request that was turned away is said again, but after MOVED, whose slot has come where it goes."""

WAIT_SHARE: Final = 0.7
"""Part of the time-out for which a node waits for its replicas, so that its own answer is still heard."""


class Away(NamedTuple):
    """A request that has certainly not run, and is to be said again."""

    at: int
    error: Exception


class Router:
    """``say`` ends after two time-outs at most: within the first, what is turned away is said again and again; what it
    says last may take another.

    What was sent and not answered is never sent again. ``awaited``: who must have what was written.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._address = ClusterAddress(url)
        self._timeout = timeout
        self._exchanges: dict[tuple[str, int], Exchange] = {}
        self.awaited: Awaited = AtLeast(1)
        self.map = Map(self._address)
        self.map.changed.append(self._forget_nodes)

    async def say(self, requests: Sequence[Request]) -> list[list[Any]]:
        """The results of all requests, errors among them. Those for one node go there in one write, in their order.

        Raises AuthenticationError: nothing is known of the cluster, as none of its nodes lets us in.
        """
        results: dict[int, list[Any]] = {}
        left, loop = list(range(len(requests))), asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while left:
            away = await self._round(requests, left, results)
            if loop.time() + PAUSE >= deadline:
                results |= {turned.at: [turned.error] * len(requests[turned.at].commands) for turned in away}
                break
            await self._look_again([turned.error for turned in away])
            left = sorted(turned.at for turned in away)
        return [results[index] for index in range(len(requests))]

    async def _round(self, requests: Sequence[Request], left: list[int], results: dict[int, list[Any]]) -> list[Away]:
        away, by_node = list[Away](), defaultdict[Node, list[int]](list)
        for index in left:
            try:
                by_node[self.map.master_of(requests[index].slot)].append(index)
            except ClusterDownError as error:
                away.append(Away(index, error))
        said = [self._say_to(node, requests, some, results) for node, some in by_node.items()]
        for turned in await together(said):
            away += turned
        return away

    async def _say_to(
        self, node: Node, requests: Sequence[Request], some: list[int], results: dict[int, list[Any]]
    ) -> list[Away]:
        """Fills ``results`` but for what was turned away."""
        words: list[Words] = [each for index in some for each in requests[index].words]
        before, waits = len(words), any(requests[index].waits for index in some)
        if waits:
            words += self.awaited.asks(node, round(WAIT_SHARE * 1000 * self._timeout))
        try:
            replies = await self._exchange(node)(words)
        except NotSent as error:
            return [Away(index, error) for index in some]
        except FAILURES as error:
            results |= {index: [error] * len(requests[index].commands) for index in some}
            return []
        copied, away, at = waits and not self.awaited.lacks(node, replies[before:]), list[Away](), 0
        for index in some:
            request = requests[index]
            own, at = replies[at : at + len(request.words)], at + len(request.words)
            if (why := request.turned_away(own)) is not None:
                away.append(Away(index, why))
            else:
                results[index] = request.results(own, copied=copied)
        return away

    async def _look_again(self, errors: Iterable[Exception]) -> None:
        """Before the next round: a node that MOVED tells of is asked first."""
        errors = list(errors)
        if not errors:
            return
        moved = [error for error in errors if isinstance(error, MovedError)]
        if len(moved) < len(errors) and self.map.topology.masters:
            await asyncio.sleep(PAUSE)
        try:
            await self.map.refresh(Node("", moved[0].host, moved[0].port) if moved and moved[0].host else None)
        except FAILURES as error:
            if isinstance(error, AuthenticationError) and not self.map.topology.ranges:
                raise  # it won't be otherwise in a while

    async def each(self, *words: Any, replicas: bool = False) -> dict[Node, Any]:
        """What every master says to a command, and every replica that is up if ``replicas``. Raises as :meth:`at`."""
        if not self.map.topology.masters:
            await self.map.refresh()
        nodes = self.map.topology.nodes if replicas else self.map.topology.masters
        replies = await together([self.at(node, *words) for node in nodes])
        return dict(zip(nodes, replies, strict=True))

    async def at(self, node: Node, *words: Any) -> Any:
        """What one node says to a command, once it takes it. Raises RedisError, OSError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while True:
            (reply,) = await self.ask(node, [words])
            if not isinstance(reply, Exception):
                return reply
            if not is_turned_away(reply) or loop.time() + PAUSE > deadline:
                raise reply
            await asyncio.sleep(PAUSE)

    async def ask(self, node: Node, commands: Sequence[Words]) -> list[Any]:
        """What one node says to commands in one write, errors among them. Raises RedisError: nothing was sent."""
        return await self._exchange(node)(commands)

    def _exchange(self, node: Node) -> Exchange:
        if (found := self._exchanges.get(node[1:])) is None:
            found = self._exchanges[node[1:]] = Exchange(self._address.url_of(node.host, node.port), self._timeout)
        return found

    def _forget_nodes(self, topology: Topology) -> None:
        known = {node[1:] for node in topology.nodes}
        for gone in self._exchanges.keys() - known:
            self._exchanges.pop(gone).retire()

    async def close(self) -> None:
        await self.map.close()
        await together([exchange.close() for exchange in self._exchanges.values()])
