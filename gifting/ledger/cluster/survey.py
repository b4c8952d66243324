"""What every node of a Redis Cluster tells of itself, replicas too: asked together, judged elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from gifting.ledger.cluster.topology import Node, Topology
from gifting.ledger.connect import FAILURES, BinaryRedis
from gifting.ledger.safety import WANTED

GUARDS: Final = ("cluster-require-full-coverage", "min-replicas-to-write", "min-replicas-max-lag")
"""Settings that are asked beside those of :data:`WANTED`."""

_SERVICES: Final = {".memorydb.": "MemoryDB", ".cache.amazonaws.": "ElastiCache", "amazon elasticache": "ElastiCache"}
"""Managed services, by what is in a host's name or in what its Redis calls its operating system."""

NodeClient = Callable[[Node], BinaryRedis]
"""A client that talks to one node alone, wherever a slot is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one node.

    Args:
        version: Redis' (that whose commands it knows), as (7, 0).
        engine_version: its own, where it is a Valkey; else the same.
        service: the managed service it belongs to, as far as that can be seen; else ''.
        settings: of :data:`WANTED` and :data:`GUARDS`; None where CONFIG GET is refused.
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


async def take_survey(topology: Topology, client: NodeClient) -> Survey:
    """Ask all nodes of ``topology`` together; what can't be asked is in :attr:`Survey.silent`."""
    told = await asyncio.gather(*(_ask_or_say(node, client(node)) for node in topology.nodes))
    facts = tuple(each for each in told if isinstance(each, Facts))
    dead = {address: "it is taken for dead" for each in facts for address in each.failing}
    silent = {str(node): each for node, each in zip(topology.nodes, told, strict=True) if isinstance(each, str)}
    return Survey(topology, facts, dead | silent)


async def _ask_or_say(node: Node, redis: BinaryRedis) -> Facts | str:
    try:
        return await ask_facts(node, redis)
    except FAILURES as error:
        return str(error) or repr(error)


async def ask_facts(node: Node, redis: BinaryRedis) -> Facts:
    """Raises RedisError, OSError."""
    info = await redis.info()
    about = _lines(await redis.execute_command("CLUSTER", "INFO"))
    peers = _text(await redis.execute_command("CLUSTER", "NODES")).splitlines()
    return Facts(
        node=node,
        version=_version(info["redis_version"]),
        engine_version=_version(info.get("valkey_version", info["redis_version"])),
        service=find_service(node.host, str(info.get("os", ""))),
        settings=await _ask_settings(redis),
        eviction=info.get("maxmemory_policy", ""),
        state=about.get("cluster_state", ""),
        slots=int(about.get("cluster_slots_ok", 0)),
        failing=frozenset(address for line in peers if (address := _failing(line))),
        clock=await _ask_clock(redis),
    )


async def _ask_settings(redis: BinaryRedis) -> Mapping[str, str] | None:
    try:
        found: dict[str, str] = await redis.config_get(*WANTED, *GUARDS)
    except ResponseError:
        return None
    return found


async def _ask_clock(redis: BinaryRedis) -> tuple[float, float]:
    sent = time.time()
    seconds, micros = await redis.time()
    told = seconds + micros / 1e6
    return (told - time.time()) * 1000, (told - sent) * 1000


def find_service(*said: str) -> str:
    """The managed service that hosts' names or an operating system's name tell of, the first that does; else ''."""
    every = " ".join(said).lower()
    return next((service for sign, service in _SERVICES.items() if sign in every), "")


def _failing(line: str) -> str:
    """The address of a node of ``CLUSTER NODES`` that is taken for dead; '' of one that is not."""
    _, address, flags, *_ = line.split()
    return address.partition("@")[0] if "fail" in flags.split(",") else ""


def _lines(said: Any) -> dict[str, str]:
    if isinstance(said, Mapping):
        return {str(name): str(value) for name, value in said.items()}
    return dict(line.split(":", 1) for line in _text(said).splitlines() if ":" in line)


def _text(said: bytes | str) -> str:
    return said.decode() if isinstance(said, bytes) else said


def _version(said: str) -> tuple[int, int]:
    try:
        major, minor, *_ = said.split(".")
        return int(major), int(minor)
    except ValueError:
        raise RedisError(f"it says that its version is {said!r}") from None
