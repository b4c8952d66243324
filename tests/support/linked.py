"""Links to a cluster, without a ledger, and calls of them that can be waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.cluster.awaited import awaited
from gifting.ledger.cluster.keeping import LONGEST
from gifting.ledger.cluster.link import Call, Pace, Query
from gifting.ledger.cluster.links import Links
from gifting.ledger.cluster.map import Map
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.cluster.topology import Node
from gifting.ledger.resp import command
from gifting.tasks import end

WITHIN = 30.0

TIMEOUT = 20.0
"""Of a call, seconds; for a quarter of it replicas are waited for, however busy the machine is."""

KEYS = [f"{{{tag}}}:x" for tag in tags(16)]
"""A key in each of 16 partitions."""


class Linked:
    """Links to a cluster, and a call of them that can be waited for."""

    def __init__(self, links: Links, timeout: float, known: Map) -> None:
        self.links = links
        self._map = known
        self.timeout = timeout

    async def call(self, *words: str | int | bytes) -> tuple[Any, bool]:
        """A command as a call of a script goes: what Redis said, and whether replicas hold it."""
        ended: asyncio.Future[tuple[Any, bool]] = asyncio.get_running_loop().create_future()

        def done(reply: Any, held: bool) -> None:
            ended.set_result((reply, held))

        until = time.monotonic() + self.timeout
        self.links.send(Call(slot_of(str(words[1])), lambda _: command(*words), done, until))
        return await asyncio.wait_for(ended, WITHIN)

    def master_of(self, key: str) -> Node:
        return self._map.master_of(slot_of(key))

    async def ask(self, *commands: tuple[str, ...]) -> Any:
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        request, until = b"".join(command(*words) for words in commands), time.monotonic() + self.timeout
        self.links.ask(Query(slot_of(commands[0][1]), request, len(commands), answered.set_result, until))
        return await asyncio.wait_for(answered, WITHIN)


@asynccontextmanager
async def linked(
    url: str, *, pause: float = 0.0, replicas: int = 1, every: bool = False, timeout: float = TIMEOUT
) -> AsyncIterator[Linked]:
    address = ClusterAddress(url)
    map_ = Map(address)
    await map_.refresh()
    links = Links(map_, address, Pace(pause, awaited(replicas, every, map_, lambda: LONGEST), timeout))
    running = asyncio.create_task(links.run())
    try:
        yield Linked(links, timeout, map_)
    finally:
        await end([running])
        await map_.close()
