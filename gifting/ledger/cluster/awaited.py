"""Which replicas must have what is written to a master before it counts: what is said behind it, and what that tells.

``WAIT`` tells how many have it, and not who. So where it is to be every one, the master is asked in the same write
which replicas follow it, and which ones the cluster lists as its: nobody's older idea of the cluster is asked. One that
is listed and does not follow has not got it, and may be elected all the same, unless it was away for too long
(``absent.py``). One that follows and is not listed yet has joined just now, and may be elected soon: it is awaited too.
A master answers all three in one pass, so that it is the same replicas of which they tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, Protocol

from gifting.ledger.cluster.absent import COUNTS, Absences, History
from gifting.ledger.cluster.topology import Node, Topology
from gifting.ledger.resp import Words

_REPLICA: Final = re.compile(r"slave\d+")
"""A line of ``INFO replication`` that is about one."""


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
    """All that follow, and all that are ``listed``, the dead among them too, but for those that were away for longer
    than ``lag`` says, in ms; a master of which nobody is awaited never counts.
    """

    any: Final = True

    def __init__(
        self, cluster: Known, *, lag: Callable[[], int], listed: bool = True, time: Callable[[], float] = monotonic
    ) -> None:
        self._cluster = cluster
        self._listed = listed
        self._absences = Absences(lag, time)
        self._counts: dict[str, int] = {}
        """Of each master, how many there were last: for these it waits, or answers without the one that has joined."""

    def asks(self, node: Node, patience: int) -> tuple[Words, ...]:
        count = self._counts.get(node.id) or len(self._cluster.topology.replicas_of(node)) or 1
        listing: tuple[Words, ...] = (("CLUSTER", "REPLICAS", node.id),) if self._listed else ()
        beside = ("stats",) if node.id in self._absences.watched else ()
        return ("WAIT", count, patience), ("INFO", "replication", *beside), *listing

    def lacks(self, node: Node, said: Sequence[Any]) -> str:
        for each in said:
            if isinstance(each, Exception):
                return str(each)
        found, info, *more = said
        about = _About(info.decode())
        listed = set(map(_address, *more)) if more else about.following
        listed -= self._absences.excused(node.id, listed - about.present, about.history)
        self._counts[node.id] = max(len(about.following), len(listed))
        if not listed:
            return "no replica is awaited there"
        if silent := sorted(listed - about.following):
            others = "".join(f", {other} does and is not listed" for other in sorted(about.following - listed))
            return f"{', '.join(silent)} does not follow{others}"
        return "" if found >= len(about.following) else f"{found} of {len(about.following)} have it"


def awaited(replicas: int, every: bool, cluster: Known, lag: Callable[[], int]) -> Awaited:
    """``every`` one, but for those that :class:`Every` excuses, or so many of them."""
    return Every(cluster, lag=lag) if every else AtLeast(replicas)


class _About:
    """What a master says of its replicas, by their addresses: those that are there, and that WAIT counts; and its
    history as :class:`Absences` takes it.
    """

    def __init__(self, info: str) -> None:
        lines = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        replicas = [_pairs(said) for name, said in lines.items() if _REPLICA.fullmatch(name)]
        self.present = {f"{one['ip']}:{one['port']}" for one in replicas}
        self.following = {f"{one['ip']}:{one['port']}" for one in replicas if one["state"] == "online"}
        self.history: History = tuple(lines[name] for name in COUNTS) if COUNTS[-1] in lines else ()


def _pairs(said: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in said.split(","))


def _address(line: bytes) -> str:
    """Of a node, of a line of ``CLUSTER REPLICAS``."""
    return line.split()[1].decode().partition("@")[0]
