"""What is wrong with a Redis Cluster, of what its nodes tell: what no promise holds on, and what is only weak."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from gifting.config.settings import REPLICATED
from gifting.errors import (
    ClusterAllOrNothing,
    ClusterAlone,
    ClusterClocks,
    ClusterDown,
    ClusterService,
    ClusterStale,
    ClusterTooOld,
    ClusterUnguarded,
    ClusterUnsafe,
    ClusterUntold,
    UnfitCluster,
)
from gifting.ledger.cluster.keeping import LONGEST, lag_of
from gifting.ledger.cluster.slots import SLOTS
from gifting.ledger.cluster.survey import Facts, Survey
from gifting.ledger.cluster.topology import Node
from gifting.ledger.safety import WANTED

LEAST_VERSION: Final = (7, 0)
"""Oldest Redis: before it there is no sharded pub/sub, and no script flags."""

LOGGED_SINCE: Final = (9, 0)
"""Valkey of ElastiCache that can answer only after its log, in several places, has a write."""

SKEW_MAX: Final = 1000.0
"""Milliseconds that the clocks of two nodes may be apart."""

NAMED: Final = 4
"""Nodes that are named in a sentence at most."""


def find_faults(survey: Survey, durability: str) -> Iterator[UnfitCluster]:
    """Why gifts should not be taken on this cluster, the worst first; nothing where all is well."""
    yield from _too_old(survey.facts)
    yield from _wrong_service(survey.facts, durability)
    yield from _down(survey)
    yield from _untold(survey.facts, durability)
    yield from _unsafe(survey.facts)
    yield from _all_or_nothing(survey.facts)
    if durability in REPLICATED:
        yield from _unguarded(survey.facts)
        yield from _stale(survey.facts)
        if not survey.silent:
            yield from map(ClusterAlone, _alone(survey))
    yield from _clocks(survey.facts)


def find_losses(survey: Survey) -> Iterator[str]:
    """What the cluster has lost, or never had, and does without."""
    for address, why in survey.silent.items():
        yield f"{address} does not answer: {why.rstrip('.')}."
    yield from _alone(survey)


def find_weaknesses(survey: Survey, durability: str, slots: Sequence[int]) -> Iterator[str]:
    """What holds as the cluster is set up, and not as well as it could; ``slots`` are the partitions'."""
    if durability in REPLICATED:
        yield from _one_replica(survey)
    if durability == "replica":
        yield from _one_of_several(survey)
    if durability == "disk":
        yield (
            "With --durability disk a gift is acknowledged before a replica has it: a failover can lose gifts that "
            "were acknowledged, and the audit then names what was credited without its debit."
        )
    if durability == "managed" and any(each.service == "ElastiCache" for each in survey.facts):
        yield (
            "Whether this ElastiCache keeps what it acknowledges can't be seen from here: its EffectiveDurability must "
            "be sync (aws elasticache describe-replication-groups)."
        )
    yield from _uneven(survey, slots)


def alone(survey: Survey) -> list[Node]:
    """Masters without a replica that is up."""
    return [master for master in survey.topology.masters if not survey.topology.replicas_of(master)]


def name(nodes: Iterable[object]) -> str:
    """Nodes in a sentence: the first few by address."""
    every = list(map(str, nodes))
    more = [f"{len(every) - NAMED} more"] if len(every) > NAMED else []
    *first, last = [*every[:NAMED], *more]
    return f"{', '.join(first)} and {last}" if first else last


def _too_old(facts: Iterable[Facts]) -> Iterator[UnfitCluster]:
    old = [f"{each.node} ({'.'.join(map(str, each.version))})" for each in facts if each.version < LEAST_VERSION]
    if old:
        yield ClusterTooOld(f"Older than Redis 7.0: {name(old)}.")


def _wrong_service(facts: Iterable[Facts], durability: str) -> Iterator[UnfitCluster]:
    found = {each.service: each for each in facts}
    if durability == "managed":
        cache = found.get("ElastiCache")
        if cache is not None and cache.engine_version < LOGGED_SINCE:
            yield ClusterService(
                f"This is ElastiCache with version {'.'.join(map(str, cache.engine_version))}, which acknowledges what "
                "is in one place only; from Valkey 9.0 on, with durability sync, it does not."
            )
        if found.keys() == {""} and found[""].settings is not None:
            yield ClusterService(
                "These nodes tell their settings, as no managed service does, so nobody but their operator keeps what "
                "they acknowledge: leave --durability managed out."
            )
    elif service := next(filter(None, found), ""):
        yield ClusterService(
            f"This is {service}, whose log or disk WAIT tells nothing of: it needs --durability managed."
        )


def _down(survey: Survey) -> Iterator[UnfitCluster]:
    if not survey.facts:
        yield ClusterDown(f"None of its nodes answers, {name(survey.silent)}." if survey.silent else "It has no nodes.")
    failed = [each.node for each in survey.facts if each.state != "ok"]
    if failed:
        yield ClusterDown(f"The cluster is down as {name(failed)} see it.")
    short = [f"{each.node} ({each.slots})" for each in survey.facts if each.slots < SLOTS and each.state == "ok"]
    if short:
        yield ClusterDown(f"Not all {SLOTS} slots are served as seen by {name(short)}.")


def _untold(facts: Iterable[Facts], durability: str) -> Iterator[UnfitCluster]:
    untold = [each.node for each in facts if each.settings is None]
    if untold and durability != "managed":
        wanted = ", ".join(f"{name} {value}" for name, value in WANTED.items())
        yield ClusterUntold(
            f"{name(untold)} do not tell their settings (CONFIG GET is refused); they must have {wanted}."
        )


def _unsafe(facts: Iterable[Facts]) -> Iterator[UnfitCluster]:
    wrong: defaultdict[str, list[Node]] = defaultdict(list)
    wanted: dict[str, None] = {}
    for each in facts:
        told = {**(each.settings or {}), "maxmemory-policy": each.eviction}
        for setting, value in WANTED.items():
            if setting in told and told[setting] != value:
                wrong[f"{setting} {told[setting]}"].append(each.node)
                wanted[f"{setting} {value}"] = None
    if wrong:
        have = "; ".join(f"{name(nodes)}: {what}" for what, nodes in wrong.items())
        yield ClusterUnsafe(f"Acknowledged gifts can be lost by {have}. It must be {', '.join(wanted)}.")


def _all_or_nothing(facts: Iterable[Facts]) -> Iterator[UnfitCluster]:
    found = [each.node for each in facts if (each.settings or {}).get(_COVERAGE, "no") != "no"]
    if found:
        yield ClusterAllOrNothing(f"With {_COVERAGE} yes all gifts stop when one shard is lost, as on {name(found)}.")


def _unguarded(facts: Iterable[Facts]) -> Iterator[UnfitCluster]:
    found = [each.node for each in facts if each.settings is not None and not _guarded(each.settings)]
    if found:
        yield ClusterUnguarded(f"A master that has lost its replicas would still write, on {name(found)}.")


def _guarded(settings: Mapping[str, str]) -> bool:
    return all(settings.get(guard, "0") != "0" for guard in ("min-replicas-to-write", "min-replicas-max-lag"))


def _stale(facts: Iterable[Facts]) -> Iterator[UnfitCluster]:
    lags = {each.node: lag_of(each.settings) for each in facts if each.settings is not None}
    if found := [node for node, lag in lags.items() if lag is None]:
        yield ClusterStale(f"A replica may be elected whatever it lacks, with {_VALIDITY} 0 on {name(found)}.")
    if late := [f"{node} ({lag // 1000} s)" for node, lag in lags.items() if lag is not None and lag > LONGEST]:
        yield ClusterStale(
            f"A replica may be elected that lags by more than the {LONGEST // 1000} s for which gifts are kept that "
            f"are credited: {name(late)}."
        )


def _alone(survey: Survey) -> Iterator[str]:
    if found := alone(survey):
        yield f"Without a replica that is up: {name(found)}."


def _one_replica(survey: Survey) -> Iterator[str]:
    lone = [master for master in survey.topology.masters if len(survey.topology.replicas_of(master)) == 1]
    if lone:
        yield (
            f"With one replica only: {name(lone)}. While it is away no gift is acknowledged there, however long that "
            "is; two are recommended."
        )


def _one_of_several(survey: Survey) -> Iterator[str]:
    more = [master for master in survey.topology.masters if len(survey.topology.replicas_of(master)) > 1]
    if more:
        yield (
            f"With more than one replica: {name(more)}. A gift that one of them has is acknowledged, and lost if the "
            "master dies and another one is elected; --durability every-replica, the default, waits for all."
        )


def _clocks(facts: Iterable[Facts]) -> Iterator[UnfitCluster]:
    """The clocks are at least so far apart; how long the question took is on nobody's account."""
    every = list(facts)
    if not every:
        return
    ahead, behind = max(every, key=lambda each: each.clock[0]), min(every, key=lambda each: each.clock[1])
    apart = ahead.clock[0] - behind.clock[1]
    if apart > SKEW_MAX:
        yield ClusterClocks(f"The clock of {ahead.node} is {apart / 1000:.1f} s ahead of that of {behind.node}.")


def _uneven(survey: Survey, slots: Sequence[int]) -> Iterator[str]:
    """Some masters have more than twice the partitions of others, or none: the former are full before the others."""
    masters = survey.topology.masters
    if len(masters) > len(slots):
        yield f"There are {len(masters)} masters for {len(slots)} partitions: {len(masters) - len(slots)} do nothing."
        return
    found = Counter(dict.fromkeys(masters, 0))
    found.update(master for slot in slots if (master := survey.topology.master_of(slot)))
    if found and max(found.values()) > 2 * min(found.values()):
        said = name(f"{master} ({count})" for master, count in found.most_common())
        yield f"The {len(slots)} partitions are spread unevenly over the masters: {said}. Move slots to even them out."


_COVERAGE: Final = "cluster-require-full-coverage"
_VALIDITY: Final = "cluster-replica-validity-factor"
