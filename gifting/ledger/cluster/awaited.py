"""Which replicas must have what is written to a master before it counts: what is said behind it, and what that tells.

``WAIT`` tells how many have it, and not who. So where it is to be every one, the master is asked in the same write
which replicas follow it, and which ones the cluster lists as its: nobody's older idea of the cluster is asked. One that
is listed and does not follow has not got it, and may be elected all the same. One that follows and is not listed yet
has joined just now, and may be elected soon: it is awaited too. A master answers all three in one pass, so that it is
the same replicas of which they tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from gifting.ledger.cluster.topology import Node, Topology
from gifting.ledger.resp import Words


class Awaited(Protocol):
    """``any``: whether a replica is awaited at all."""

    @property
    def any(self) -> bool: ...

    def asks(self, node: Node, patience: int) -> tuple[Words, ...]:
        """What goes behind writes to a master, which waits for ``patience`` ms."""

    def lacks(self, node: Node, said: Sequence[Any]) -> str:
        """Why what was written does not count, by what was said to :meth:`asks`, errors too; '' where it does."""


class AtLeast:
    """So many, whichever they are; with 0 it is the master alone that counts."""

    def __init__(self, count: int) -> None:
        self._count = count

    @property
    def any(self) -> bool:
        return self._count > 0

    def asks(self, node: Node, patience: int) -> tuple[Words, ...]:
        return (("WAIT", self._count, patience),) if self._count else ()

    def lacks(self, node: Node, said: Sequence[Any]) -> str:
        for found in said:
            if not isinstance(found, int):
                return str(found)
            if found < self._count:
                return f"{found} have it"
        return ""


class Known(Protocol):
    """What is known of the cluster."""

    @property
    def topology(self) -> Topology: ...


class Every:
    """All that follow, and all that are ``listed``, the dead among them too; a master without any never counts."""

    any: Final = True

    def __init__(self, cluster: Known, *, listed: bool = True) -> None:
        self._cluster = cluster
        self._listed = listed
        self._counts: dict[str, int] = {}
        """Of each master, how many there were last: for these it waits, or answers without the one that has joined."""

    def asks(self, node: Node, patience: int) -> tuple[Words, ...]:
        count = self._counts.get(node.id) or len(self._cluster.topology.replicas_of(node)) or 1
        listing: tuple[Words, ...] = (("CLUSTER", "REPLICAS", node.id),) if self._listed else ()
        return ("WAIT", count, patience), ("INFO", "replication"), *listing

    def lacks(self, node: Node, said: Sequence[Any]) -> str:
        for each in said:
            if isinstance(each, Exception):
                return str(each)
        found, info, *more = said
        following = _following(info.decode())
        listed = set(map(_address, *more)) if more else following
        self._counts[node.id] = max(len(following), len(listed))
        if not listed:
            return "it has no replica"
        if silent := sorted(listed - following):
            return f"{', '.join(silent)} does not follow"
        return "" if found >= len(following) else f"{found} of {len(following)} have it"


def awaited(replicas: int, every: bool, cluster: Known) -> Awaited:
    """``every`` one, or so many of them."""
    return Every(cluster) if every else AtLeast(replicas)


def _following(info: str) -> set[str]:
    """Addresses of those that WAIT counts, of ``INFO replication``."""
    return set(_online(line.partition(":") for line in info.splitlines() if line.startswith("slave")))


def _online(lines: Iterable[tuple[str, str, str]]) -> Iterable[str]:
    for _, _, said in lines:
        about = dict(pair.split("=", 1) for pair in said.split(",") if "=" in pair)
        if about.get("state") == "online":
            yield f"{about['ip']}:{about['port']}"


def _address(line: bytes) -> str:
    """Of a node, of a line of ``CLUSTER REPLICAS``."""
    return line.split()[1].decode().partition("@")[0]
