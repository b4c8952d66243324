"""For how long what is credited is kept, by what nodes tell of how far a replica may lag."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gifting.ledger.cluster.keeping import LONGEST, USUAL, Keeping, lag_of
from gifting.ledger.cluster.survey import LAGS, Survey
from gifting.ledger.cluster.topology import Topology
from tests.unit.ledger.cluster.test_cluster_faults import TOPOLOGY, facts

Told = dict[str, str] | None


def timeout(ms: int) -> dict[str, str]:
    return LAGS | {"cluster-node-timeout": str(ms)}


def survey(*told: Told, topology: Topology = TOPOLOGY) -> Survey:
    """What the first nodes tell; the others are silent."""
    heard = tuple(replace(facts(node), settings=settings) for node, settings in zip(topology.nodes, told, strict=False))
    return Survey(topology, heard, {str(node): "it is dead" for node in topology.nodes[len(told) :]})


@pytest.mark.parametrize(
    ("settings", "lag"),
    [
        ({}, USUAL),
        (LAGS, 5_000 * 10 + 10_000 + 60_000),
        (timeout(15_000), 220_000),
        (LAGS | {"cluster-replica-validity-factor": "1"}, 75_000),
        (LAGS | {"repl-ping-replica-period": "3"}, 113_000),
        (LAGS | {"repl-timeout": "30"}, 90_000),
        (LAGS | {"cluster-replica-validity-factor": "0"}, None),
    ],
)
def test_how_far_a_replica_may_lag_that_is_elected(settings: dict[str, str], lag: int | None) -> None:
    assert lag_of(settings) == lag


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ([timeout(5_000)] * 4, USUAL),
        ([timeout(1_000)] * 4, 80_000),
        ([timeout(1_000), timeout(9_000), timeout(1_000), timeout(1_000)], 160_000),
        ([timeout(1_000), timeout(1_000), timeout(1_000), None], USUAL),
        ([None] * 4, USUAL),
        ([timeout(200_000)] * 4, LONGEST),
        ([LAGS | {"cluster-replica-validity-factor": "0"}] * 4, LONGEST),
    ],
)
def test_the_longest_that_a_node_asks_for_is_kept(told: list[Told], kept: int) -> None:
    keeping = Keeping()
    keeping.learn(survey(*told))
    assert keeping.ms == kept


def test_who_is_silent_is_taken_at_its_last_word() -> None:
    keeping = Keeping()
    assert keeping.ms == USUAL
    keeping.learn(survey(*[timeout(1_000)] * 3))
    assert keeping.ms == USUAL, "it has said nothing yet"
    keeping.learn(survey(*[timeout(1_000)] * 3, timeout(9_000)))
    assert keeping.ms == 160_000
    keeping.learn(survey(*[timeout(1_000)] * 3))
    assert keeping.ms == 160_000
    keeping.learn(survey(*[timeout(1_000)] * 4))
    assert keeping.ms == 80_000, "it was lowered"


def test_a_node_that_has_left_the_cluster_asks_for_nothing() -> None:
    keeping = Keeping()
    keeping.learn(survey(*[timeout(1_000)] * 3, timeout(9_000)))
    first, last = TOPOLOGY.ranges
    fewer = replace(TOPOLOGY, ranges=(first, last._replace(replicas=())))
    keeping.learn(survey(*[timeout(1_000)] * 3, topology=fewer))
    assert keeping.ms == 80_000


def test_nobody_answers() -> None:
    keeping = Keeping()
    keeping.learn(survey())
    assert keeping.ms == USUAL
