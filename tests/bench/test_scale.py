"""The plan for a crowd: what its page says is what the program prints, and its arithmetic bends the right way."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import product

import pytest

from benchmarks.checkout import ROOT
from benchmarks.cluster import FULL, Shape, contend
from benchmarks.scale.__main__ import document, main
from benchmarks.scale.batches import batches, master_cost, masters, together
from benchmarks.scale.inputs import Inputs, sources
from benchmarks.scale.measure import event_cost, sizes
from benchmarks.scale.on_cluster import Load, Spent, fitted, take_turn
from benchmarks.scale.plan import limits, plan


def test_the_page_has_what_the_program_prints() -> None:
    assert document(Inputs()) in (ROOT / "docs" / "scale.md").read_text()


def test_every_input_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--gifts", "50000", "--batch-pause", "0.02"])
    printed = capsys.readouterr().out
    assert "| `--gifts` | 50,000 |" in printed
    assert all(f"`--{name.replace('_', '-')}`" in printed for name, _, _ in sources())
    assert document(Inputs(gifts=50_000, batch_pause=0.02)) == printed.rstrip("\n")


def test_the_sizes_are_those_of_the_codec() -> None:
    known = Inputs()
    for name, value in sizes():
        assert value == pytest.approx(getattr(known, name), rel=0.05), name


def test_an_event_costs_about_what_is_assumed() -> None:
    assert event_cost() < 10 * Inputs().node_event


def test_what_loads_of_a_cluster_cost_is_taken_apart() -> None:
    loads = [
        (name, Load(19 + 78 * calls, 185 * calls + 80 * rooms + 21 + 460 * rounds, calls, rooms, rounds))
        for name, calls, rooms, rounds in product((FULL, "100"), (0.01, 0.2, 2.0), (0.05, 0.5, 1.0), (0.01, 0.3, 2.0))
    ]
    dearer = [(name, load if name == FULL else load._replace(node_us=1500.0)) for name, load in loads]
    found = dict(fitted(dearer))
    costs = {"call": 185, "room": 80, "gift": 21, "round": 460, "node_gift": 19, "node_call": 78}
    for name, value in costs.items():
        assert found[name] == pytest.approx(value, rel=0.01), name
    assert len(found) == len(costs) + len(set(loads)), "and a line for each load"


async def test_what_a_cluster_s_masters_do_is_counted_by_the_gift() -> None:
    async with AsyncExitStack() as stack:
        one = await contend(Shape(1, partitions=4), "", stack)
        found = await take_turn(one, "100", Spent(0.0, 0.0, 0.0, 0.0, 0.0))
    assert 1 < found.calls < 4, "a gift has two, and few share them"
    assert 0.5 < found.rooms < 1.5
    assert 0 < found.rounds < 4
    assert found.node_us > 0
    assert found.masters_us > 0


def test_gifts_in_a_call_are_at_least_one_and_in_the_end_all() -> None:
    assert together(0) == 1
    assert together(0.01) == pytest.approx(1.005, rel=1e-3)
    assert together(50) == pytest.approx(50)


def test_nodes_are_as_few_as_can_take_the_gifts() -> None:
    of = Inputs()
    found = batches(of)
    assert found.node_us * found.rate <= of.load * 1e6
    fewer = replace(of, gifts=of.gifts * (found.processes + 1) / found.processes)
    assert batches(fewer).processes > found.processes


def test_a_master_s_share_of_calls_is_what_a_hand_finds() -> None:
    of = Inputs(gifts=1000, partitions=1, batch_pause=0.01)
    found = batches(of)
    assert found.processes == 1
    assert found.call == pytest.approx(10, rel=1e-3)
    cost = master_cost(of, found)
    assert cost.gift_us == pytest.approx(2 * 185 / 10 + 80 + 20.7, rel=1e-3)
    assert cost.great_us == pytest.approx(185 + 80 + 20.7 / 2, rel=0.1), "a gift in ten calls is for it"
    assert cost.rounds == pytest.approx(100 * 461e-6)
    assert masters(of, cost) == 1
    assert master_cost(replace(of, rooms=1), batches(replace(of, rooms=1))).gift_us == pytest.approx(
        2 * 185 / 10 + 80 / 10 + 20.7, rel=1e-3
    )


def test_where_rounds_fill_a_core_no_number_of_masters_suffices() -> None:
    assert plan(Inputs(batch_pause=0.01)).masters == 0
    assert "none suffice" in document(Inputs(batch_pause=0.01))


def test_masters_carry_whole_partitions() -> None:
    found = plan(Inputs())
    each = math.ceil(found.inputs.partitions / found.masters)
    share = found.inputs.gifts / found.inputs.partitions * found.cost.gift_us / 1e6
    assert each * share + found.cost.rounds <= found.inputs.load


def test_what_breaks_first_comes_first_and_a_hotter_host_breaks_sooner() -> None:
    assert [one.used for one in limits(plan(Inputs()))] == sorted(
        (one.used for one in limits(plan(Inputs()))), reverse=True
    )
    host = {share: _limit(Inputs(hot_host=share), "hot host") for share in (0.01, 0.02)}
    assert host[0.01] < host[0.02] < 2 * host[0.01], "more of its gifts share a call"
    assert _limit(Inputs(live_top=8, live_interval=0.1), "feed") > _limit(Inputs(), "feed")


def _limit(of: Inputs, name: str) -> float:
    [found] = [one.used for one in limits(plan(of)) if one.what.startswith(name)]
    return found
