"""Which node of a Redis Cluster has which slots, as the nodes themselves tell it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError

from gifting.ledger.cluster.slots import SLOTS
from gifting.ledger.resp import Words

QUESTIONS: Final[tuple[Words, ...]] = (("CLUSTER", "INFO"), ("CLUSTER", "SHARDS"))
"""What :func:`read_topology` takes the answers to."""

OLDER_QUESTION: Final[Words] = ("CLUSTER", "SLOTS")
"""Instead of the second, for engines that don't know it."""


class Node(NamedTuple):
    id: str
    """'' of one that is known by its address only."""
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Range(NamedTuple):
    """Slots from the first to the last, and who has them: the master, if it is up, and its replicas."""

    first: int
    last: int
    master: Node | None
    replicas: tuple[Node, ...]


@dataclass(frozen=True)
class Topology:
    """A cluster as one of its nodes sees it; a higher epoch knows more."""

    epoch: int
    ranges: tuple[Range, ...]

    @cached_property
    def masters(self) -> tuple[Node, ...]:
        """Those that have slots and are up, in the order of their first slots."""
        return tuple(dict.fromkeys(each.master for each in self.ranges if each.master))

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Masters and replicas."""
        return tuple(dict.fromkeys([*self.masters, *(node for each in self.ranges for node in each.replicas)]))

    @cached_property
    def _masters(self) -> list[Node | None]:
        found: list[Node | None] = [None] * SLOTS
        for each in self.ranges:
            found[each.first : each.last + 1] = [each.master] * (each.last + 1 - each.first)
        return found

    def master_of(self, slot: int) -> Node | None:
        """Who takes writes to a slot; None where nobody does."""
        return self._masters[slot]

    def replicas_of(self, master: Node) -> tuple[Node, ...]:
        """Those that are up."""
        return next((each.replicas for each in self.ranges if each.master == master), ())


NOTHING: Final = Topology(-1, ())
"""Nothing is known."""


def read_topology(info: Any, shards: Any, asked: Node, *, tls: bool = False) -> Topology:
    """What a node answered to :data:`QUESTIONS`, or to :data:`OLDER_QUESTION` as the second.

    Args:
        asked: the node: where it does not know its own address, it is that at which it was reached.
        tls: whether it was asked by TLS, for which nodes have ports of their own.

    Raises:
        RedisError: it refused to tell.
    """
    for reply in (info, shards):
        if isinstance(reply, Exception):
            raise reply
    lines = dict(line.split(":", 1) for line in _text(info).splitlines() if ":" in line)
    try:
        ranges = sorted(_ranges(shards, asked, "tls-port" if tls else "port"), key=lambda each: each.first)
        return Topology(int(lines.get("cluster_current_epoch", 0)), tuple(ranges))
    except (LookupError, TypeError, ValueError) as error:
        raise RedisError(f"{asked} tells of its cluster what can't be read: {error!r}.") from None


def _ranges(said: list[Any], asked: Node, port: str) -> Iterator[Range]:
    older = bool(said) and isinstance(said[0], list) and isinstance(said[0][0], int)
    return _of_slots(said, asked) if older else _of_shards(said, asked, port)


def _of_shards(shards: list[Any], asked: Node, port: str) -> Iterator[Range]:
    for shard in map(_map, shards):
        up = [node for node in map(_map, shard["nodes"]) if node["health"] != b"fail"]
        master = next((_node(node, asked, port) for node in up if node["role"] == b"master"), None)
        replicas = tuple(_node(node, asked, port) for node in up if node["role"] != b"master")
        bounds = iter(shard["slots"])
        yield from (Range(int(first), int(last), master, replicas) for first, last in zip(bounds, bounds, strict=True))


def _node(said: dict[str, Any], asked: Node, port: str) -> Node:
    return Node(_text(said["id"]), _host(said.get("endpoint"), asked), int(said.get(port) or asked.port))


def _of_slots(rows: list[Any], asked: Node) -> Iterator[Range]:
    for first, last, *nodes in rows:
        master, *replicas = (Node(_text(node[2]), _host(node[0], asked), int(node[1])) for node in nodes)
        yield Range(int(first), int(last), master, tuple(replicas))


def _host(said: bytes | str | None, asked: Node) -> str:
    """A node that does not know its own host is where it was reached; nor does who asks for it know more."""
    host = _text(said or b"")
    return host if host not in ("", "?") else asked.host


def _map(value: Any) -> dict[str, Any]:
    """RESP3 has maps; in RESP2 they are lists of names and values."""
    pairs: Iterable[tuple[Any, Any]] = (
        value.items() if isinstance(value, dict) else zip(value[::2], value[1::2], strict=True)
    )
    return {_text(name): said for name, said in pairs}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
