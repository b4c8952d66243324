"""What is judged of a cluster by what its nodes tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gifting import errors
from gifting.ledger.cluster.faults import NAMED, find_faults, find_losses, find_weaknesses, name
from gifting.ledger.cluster.survey import Facts, Survey, find_service
from gifting.ledger.cluster.topology import Node, Range, Topology

SOUND = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
    "cluster-require-full-coverage": "no",
    "min-replicas-to-write": "1",
    "min-replicas-max-lag": "10",
    "cluster-node-timeout": "15000",
    "cluster-replica-validity-factor": "10",
    "repl-ping-replica-period": "10",
    "repl-timeout": "60",
}
MASTERS = [Node(f"m{number}", "a", number) for number in (1, 2)]
REPLICAS = [Node(f"r{number}", "b", number) for number in (1, 2)]
TOPOLOGY = Topology(1, (Range(0, 8191, MASTERS[0], (REPLICAS[0],)), Range(8192, 16383, MASTERS[1], (REPLICAS[1],))))


def facts(node: Node, **more: object) -> Facts:
    sound = Facts(
        node=node,
        version=(7, 0),
        engine_version=(7, 0),
        service="",
        settings=SOUND,
        eviction="noeviction",
        state="ok",
        slots=16384,
        failing=frozenset(),
        clock=(-1.0, 1.0),
    )
    return replace(sound, **more)  # type: ignore[arg-type]


def survey(topology: Topology = TOPOLOGY, **of_last: object) -> Survey:
    """All nodes are sound, but for what is said of the last one, a replica."""
    *others, last = topology.nodes
    return Survey(topology, (*map(facts, others), facts(last, **of_last)), {})


def codes(found: Survey, durability: str = "replica") -> list[str]:
    return [error.code for error in find_faults(found, durability)]


def test_a_sound_cluster_has_no_faults() -> None:
    assert codes(survey()) == []
    assert codes(survey(), "disk") == []


@pytest.mark.parametrize(
    ("of_last", "code"),
    [
        ({"version": (6, 2)}, "cluster_too_old"),
        ({"state": "fail"}, "cluster_down"),
        ({"slots": 16383}, "cluster_down"),
        ({"settings": None}, "cluster_untold"),
        ({"eviction": "volatile-lru"}, "cluster_unsafe"),
        *(({"settings": SOUND | {name: "?"}}, "cluster_unsafe") for name in ("appendonly", "appendfsync")),
        ({"settings": SOUND | {"cluster-require-full-coverage": "yes"}}, "cluster_all_or_nothing"),
        ({"settings": SOUND | {"min-replicas-to-write": "0"}}, "cluster_unguarded"),
        ({"settings": SOUND | {"min-replicas-max-lag": "0"}}, "cluster_unguarded"),
        ({"settings": SOUND | {"cluster-replica-validity-factor": "0"}}, "cluster_stale"),
        ({"settings": SOUND | {"cluster-replica-validity-factor": "56"}}, "cluster_stale"),
        ({"clock": (1002.0, 1003.0)}, "cluster_clocks"),
        ({"clock": (-1003.0, -1002.0)}, "cluster_clocks"),
        ({"service": "MemoryDB"}, "cluster_service"),
    ],
)
def test_one_node_is_enough(of_last: dict[str, object], code: str) -> None:
    (error,) = find_faults(survey(TOPOLOGY, **of_last), "replica")
    assert error.code == code
    assert str(REPLICAS[1]) in error.detail or code == "cluster_service"


def test_a_replica_may_lag_as_long_as_gifts_are_kept() -> None:
    assert codes(survey(settings=SOUND | {"cluster-node-timeout": "83000"})) == []
    stale = SOUND | {"cluster-node-timeout": "83001"}
    assert codes(survey(settings=stale)) == ["cluster_stale"]
    assert codes(survey(settings=stale), "disk") == []


@pytest.mark.parametrize("clock", [(1001.0, 1003.0), (-1003.0, -1001.0), (-5000.0, 5000.0)])
def test_how_long_the_question_took_is_on_nobodys_account(clock: tuple[float, float]) -> None:
    assert codes(survey(clock=clock)) == []


def test_a_master_is_alone_only_where_nobody_is_known_to_be_dead() -> None:
    first, second = TOPOLOGY.ranges
    lone = Topology(1, (first, second._replace(replicas=())))
    assert codes(survey(lone)) == ["cluster_alone"]
    assert codes(survey(lone), "disk") == []
    hurt = replace(survey(lone), silent={"b:2": "Connection refused."})
    assert codes(hurt) == []
    assert list(find_losses(hurt)) == ["b:2 does not answer: Connection refused.", "Without a replica that is up: a:2."]
    assert list(find_losses(survey())) == []


@pytest.mark.parametrize(
    ("service", "engine", "told", "durability", "code"),
    [
        ("MemoryDB", (7, 1), False, "managed", ""),
        ("MemoryDB", (7, 1), False, "replica", "cluster_service"),
        ("ElastiCache", (9, 0), False, "managed", ""),
        ("ElastiCache", (8, 2), False, "managed", "cluster_service"),
        ("ElastiCache", (9, 0), False, "disk", "cluster_service"),
        ("", (7, 2), True, "managed", "cluster_service"),
        ("", (7, 2), False, "managed", ""),
        ("", (7, 2), False, "disk", "cluster_untold"),
    ],
)
def test_services(service: str, engine: tuple[int, int], told: bool, durability: str, code: str) -> None:
    more = {"service": service, "engine_version": engine, "settings": SOUND if told else None}
    every = Survey(TOPOLOGY, tuple(facts(node, **more) for node in TOPOLOGY.nodes), {})
    assert codes(every, durability)[:1] == [code] * bool(code)


@pytest.mark.parametrize(
    ("said", "service"),
    [
        (("clustercfg.x.a1.use1.cache.amazonaws.com", ""), "ElastiCache"),
        (("10.0.0.1", "Amazon ElastiCache"), "ElastiCache"),
        (("clustercfg.x.a1.memorydb.eu-west-1.amazonaws.com", "Amazon ElastiCache"), "MemoryDB"),
        (("redis-1.cache.example.org", "Linux 6.1"), ""),
    ],
)
def test_how_services_are_known(said: tuple[str, str], service: str) -> None:
    assert find_service(*said) == service


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        ([0, 1, 9000, 9001], ""),
        ([0, 1, 9000], ""),
        ([0, 1, 2, 9000], "a:1 (3)"),
        ([0, 1], "a:2 (0)"),
        ([5], "do nothing"),
    ],
)
def test_partitions_are_even_where_none_has_more_than_twice_as_many(slots: list[int], says: str) -> None:
    found = list(find_weaknesses(survey(), "managed", slots))
    assert len(found) == bool(says)
    assert all(says in said for said in found)


def test_one_replica_is_a_weakness_and_so_is_one_of_two() -> None:
    two = Topology(1, tuple(each._replace(replicas=tuple(REPLICAS)) for each in TOPOLOGY.ranges))
    for topology, durability, says in (
        (TOPOLOGY, "replica", "With one replica only: a:1 and a:2. While it is away"),
        (TOPOLOGY, "every-replica", "With one replica only: a:1 and a:2. While it is away"),
        (TOPOLOGY, "disk", "With --durability disk"),
        (two, "replica", "With more than one replica: a:1 and a:2. A gift that one of them"),
        (two, "every-replica", ""),
    ):
        found = list(find_weaknesses(survey(topology), durability, [0, 9000]))
        assert len(found) == bool(says)
        assert all(said.startswith(says) for said in found)


def test_no_sentence_names_more_than_a_few_nodes() -> None:
    assert name(["a"]) == "a"
    assert name(["a", "b"]) == "a and b"
    assert name("abcd") == "a, b, c and d"
    assert name("abcdef") == "a, b, c, d and 2 more"
    assert NAMED == 4


def test_the_worst_is_told_first() -> None:
    worst = survey(version=(6, 0), state="fail", settings=SOUND | {"appendfsync": "no"}, clock=(9000.0, 9000.0))
    assert codes(worst) == ["cluster_too_old", "cluster_down", "cluster_unsafe", "cluster_clocks"]


def test_risks_are_what_an_operator_may_take() -> None:
    risky = {error.code for error in errors.UnfitCluster.__subclasses__() if error.risk}
    assert risky == {"cluster_unsafe", "cluster_untold", "cluster_unguarded", "cluster_stale"}
