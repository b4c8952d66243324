"""What every node of a Redis Cluster tells of itself, replicas too: asked together, judged elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from gifting.ledger.cluster.exchange import FAILURES
from gifting.ledger.cluster.topology import Node, Topology
from gifting.ledger.resp import Words
from gifting.ledger.safety import WANTED

GUARDS: Final = ("cluster-require-full-coverage", "min-replicas-to-write", "min-replicas-max-lag")
"""Settings that are asked beside those of :data:`WANTED`."""

LAGS: Final = {
    "cluster-node-timeout": "5000",
    "cluster-replica-validity-factor": "10",
    "repl-ping-replica-period": "10",
    "repl-timeout": "60",
}
"""Settings that are asked beside those, by which a replica may lag and still be elected: what they are where a node
does not know them. The first is in ms, the last two in seconds.
"""

_SERVICES: Final = {".memorydb.": "MemoryDB", ".cache.amazonaws.": "ElastiCache", "amazon elasticache": "ElastiCache"}
"""Managed services, by what is in a host's name or in what its Redis calls its operating system."""

Ask = Callable[[Node, Sequence[Words]], Awaitable[list[Any]]]
"""What one node says to commands in one write, errors among them; as :meth:`Router.ask`."""

_QUESTIONS: Final[tuple[Words, ...]] = (
    ("INFO",),
    ("CLUSTER", "INFO"),
    ("CLUSTER", "NODES"),
    ("CONFIG", "GET", *WANTED, *GUARDS, *LAGS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one node.

    Args:
        version: Redis' (that whose commands it knows), as (7, 0).
        engine_version: its own, where it is a Valkey; else the same.
        service: the managed service it belongs to, as far as that can be seen; else ''.
        settings: of :data:`WANTED`, :data:`GUARDS` and :data:`LAGS`; None where CONFIG GET is refused.
        eviction: its maxmemory-policy.
        state: of the cluster as this node sees it, ``ok`` or ``fail``.
        slots: that it sees served.
        failing: addresses of nodes that it takes for dead.
        clock: between how many milliseconds its clock is ahead of ours.
    """

    node: Node
    version: tuple[int, int]
    engine_version: tuple[int, int]
    service: str
    settings: Mapping[str, str] | None
    eviction: str
    state: str
    slots: int
    failing: frozenset[str]
    clock: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Survey:
    topology: Topology
    facts: tuple[Facts, ...]
    silent: Mapping[str, str]
    """Address → why, of the nodes that belong to the cluster and do not answer, or that others take for dead."""


async def take_survey(topology: Topology, ask: Ask) -> Survey:
    """Ask all nodes of ``topology`` together; what can't be asked is in :attr:`Survey.silent`."""
    told = await asyncio.gather(*(_ask_or_say(node, ask) for node in topology.nodes))
    facts = tuple(each for each in told if isinstance(each, Facts))
    dead = {address: "it is taken for dead" for each in facts for address in each.failing}
    silent = {str(node): each for node, each in zip(topology.nodes, told, strict=True) if isinstance(each, str)}
    return Survey(topology, facts, dead | silent)


async def _ask_or_say(node: Node, ask: Ask) -> Facts | str:
    try:
        return await ask_facts(node, ask)
    except FAILURES as error:
        return str(error) or repr(error)


async def ask_facts(node: Node, ask: Ask) -> Facts:
    """Raises RedisError, OSError."""
    *told, settings = await ask(node, _QUESTIONS)
    info, about, peers = map(_text, told)
    of_node, of_cluster = _lines(info), _lines(about)
    version = _version(of_node.get("redis_version", ""))
    return Facts(
        node=node,
        version=version,
        engine_version=_version(of_node["valkey_version"]) if "valkey_version" in of_node else version,
        service=find_service(node.host, of_node.get("os", "")),
        settings=_read_settings(settings),
        eviction=of_node.get("maxmemory_policy", ""),
        state=of_cluster.get("cluster_state", ""),
        slots=int(of_cluster.get("cluster_slots_ok", 0)),
        failing=frozenset(address for line in peers.splitlines() if (address := _failing(line))),
        clock=await _ask_clock(node, ask),
    )


def _read_settings(said: Any) -> Mapping[str, str] | None:
    if isinstance(said, ResponseError):
        return None
    if isinstance(said, Exception):
        raise said
    pairs = said.items() if isinstance(said, Mapping) else zip(said[::2], said[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs}


async def _ask_clock(node: Node, ask: Ask) -> tuple[float, float]:
    sent = time.time()
    (said,) = await ask(node, [("TIME",)])
    came = time.time()
    if isinstance(said, Exception):
        raise said
    told = int(said[0]) + int(said[1]) / 1e6
    return (told - came) * 1000, (told - sent) * 1000


def find_service(*said: str) -> str:
    """The managed service that hosts' names or an operating system's name tell of, the first that does; else ''."""
    every = " ".join(said).lower()
    return next((service for sign, service in _SERVICES.items() if sign in every), "")


def _failing(line: str) -> str:
    """The address of a node of ``CLUSTER NODES`` that is taken for dead; '' of one that is not."""
    _, address, flags, *_ = line.split()
    return address.partition("@")[0] if "fail" in flags.split(",") else ""


def _lines(said: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in said.splitlines() if ":" in line)


def _text(said: Any) -> str:
    if isinstance(said, Exception):
        raise said
    return said.decode() if isinstance(said, bytes) else str(said)


def _version(said: str) -> tuple[int, int]:
    try:
        major, minor, *_ = said.split(".")
        return int(major), int(minor)
    except ValueError:
        raise RedisError(f"it says that its version is {said!r}") from None
