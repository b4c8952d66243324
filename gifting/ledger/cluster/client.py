"""A Redis Cluster, as the ledger uses a Redis: the commands of redis-py, each by way of the router."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.commands import AsyncCoreCommands

from gifting.ledger.cluster.pipeline import ClusterPipeline
from gifting.ledger.cluster.request import Request, say
from gifting.ledger.cluster.router import Router

_CALLBACKS: Final = cast("dict[str, Callable[..., Any]]", Redis().response_callbacks)
"""How redis-py makes of a reply what its method returns; the same as from one Redis."""

SCAN_COUNT: Final = 1000
"""Keys that one SCAN looks at."""


class ClusterRedis(AsyncCoreCommands):
    """Commands of one key, or of several in one slot, go to its master, and those that write hold when a replica has
    what they wrote: NotReplicated says that it may not. Raises what redis-py raises.

    What is the same everywhere, as the time, is asked of the master of the first partition. Settings, keys and what
    empties a Redis concern all nodes. ``router`` has the map of the cluster, and takes commands for one node.
    """

    _event_dispatcher = None  # type: ignore[assignment]  # of connections, which these commands have none of

    def __init__(self, url: str, timeout: float) -> None:
        self.router = Router(url, timeout)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        request = Request((say(args),), transaction=False, confirmed=self.router.awaited.any)
        ((reply,),) = await self.router.say([request])
        if isinstance(reply, Exception):
            raise reply
        return read_reply(args[0], reply, options)

    def pipeline(self, transaction: bool = True) -> ClusterPipeline:
        """Commands that go out together; as a ``transaction`` all are in one slot."""
        return ClusterPipeline(self.router, read_reply, transaction)

    async def scan_iter(  # type: ignore[override]
        self, match: str | None = None, count: int | None = None, _type: str | None = None
    ) -> AsyncIterator[bytes]:
        """All keys of all masters, in no order; as from one Redis, some may come twice."""
        pattern = ("MATCH", match) if match is not None else ()
        kind = ("TYPE", _type) if _type is not None else ()
        for node in tuple(await self.router.each("PING")):
            cursor: bytes | int = 0
            while True:
                cursor, page = await self.router.at(node, "SCAN", cursor, *pattern, "COUNT", count or SCAN_COUNT, *kind)
                for key in page:
                    yield key
                if not int(cursor):
                    break

    async def keys(self, pattern: str = "*") -> list[bytes]:  # type: ignore[override]
        return [key for page in (await self.router.each("KEYS", pattern)).values() for key in page]

    async def dbsize(self) -> int:  # type: ignore[override]
        return sum((await self.router.each("DBSIZE")).values())

    async def flushall(self) -> bool:  # type: ignore[override]
        """Returns when the replicas are empty too."""
        for node in await self.router.each("FLUSHALL"):
            for words in self.router.awaited.asks(node, 0):
                await self.router.at(node, *words)
        return True

    async def flushdb(self) -> bool:  # type: ignore[override]
        """A cluster has one database."""
        return await self.flushall()

    async def script_flush(self) -> bool:  # type: ignore[override]
        return bool(await self.router.each("SCRIPT", "FLUSH"))

    async def config_get(self, *names: str) -> dict[str, str]:  # type: ignore[override]
        """Of all nodes; where they differ, all values, as ``yes and no``."""
        found = defaultdict[str, set[str]](set)
        for said in (await self.router.each("CONFIG", "GET", *names, replicas=True)).values():
            for name, value in said.items():
                found[name.decode()].add(value.decode())
        return {name: " and ".join(sorted(values)) for name, values in found.items()}

    async def config_set(self, name: str, value: Any, *more: Any) -> bool:  # type: ignore[override]
        """On all nodes."""
        return bool(await self.router.each("CONFIG", "SET", name, value, *more, replicas=True))

    async def aclose(self) -> None:
        await self.router.close()

    async def __aenter__(self) -> ClusterRedis:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def read_reply(name: str, reply: Any, options: dict[str, Any]) -> Any:
    """What redis-py's method of a command returns."""
    options.pop("keys", None)
    read = _CALLBACKS.get(name)
    return reply if read is None else read(reply, **options)
