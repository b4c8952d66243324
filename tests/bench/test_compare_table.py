"""The table of a comparison: nothing is left out of it, and the aims are held against the figures."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.compare import figures, fsync, results
from benchmarks.compare.aims import ONE_WORKER, PACED, claims
from benchmarks.compare.options import Options
from benchmarks.compare.peers.gifting import Gifting
from benchmarks.compare.registry import all_peers
from benchmarks.compare.results import FAILED, PeerInfo, Results, Sample
from benchmarks.compare.table import BEGIN, END, insert, render
from tests.support.paths import ROOT


def peer_info(name: str, **fields: Any) -> PeerInfo:
    given = {"family": name, "version": "1", "install": "", "about": f"All of {name}.", "replays": True, **fields}
    return PeerInfo(name=name, **given)


def sample(workload: str, peer: str, case: str, problem: str = "", number: int = 1, /, **found: float) -> Sample:
    return Sample(round=number, workload=workload, peer=peer, case=case, figures=found, problem=problem)


@pytest.fixture
def compared() -> Results:
    gone = peer_info("Gone", version=None, install="get")
    peers = [peer_info("gifting"), peer_info("naive stack", replays=False), gone]
    tight = "no headroom: 90% of a core"
    cost = "deliveries_per_cpu_s"
    return Results(
        date="2030-01-02",
        machine={"cores": "2"},
        options=Options().as_dict(),
        peers=peers,
        samples=[
            *(sample("fanout", "gifting", "10/s", "", n, **{cost: 100_000.0 + n}) for n in (1, 2, 3)),
            sample("fanout", "gifting", "100/s", **{cost: 300_000.0}),
            sample("fanout", "gifting", "1,000/s", **{cost: 900_000.0}),
            sample("fanout", "naive stack", "10/s", **{cost: 50_000.0}),
            sample("fanout", "naive stack", "100/s", "fell behind: 61% in time", behind=1, **{cost: 60_000.0}),
            sample("idle", "gifting", "10,000", kib_per_viewer=5.0, opened_s=1.0),
            sample("idle", "naive stack", FAILED, "PeerError: no | more\nmemory"),
            sample("storm", "gifting", "5,000", live_s=1.5, lossy=0),
            sample("storm", "naive stack", "5,000", live_s=0.5, lossy=5000),
            sample("latency", "gifting", "100 at 100/s", p50_ms=1, p99_ms=2, p999_ms=3, server_cores=0.5),
            sample("latency", "naive stack", "100 at 100/s", tight, p50_ms=1, p99_ms=1, p999_ms=3),
        ],
    )


def of_one_workload(workload: str, figure: str, **found: float) -> Results:
    """With one figure for each of these peers (names with ``_`` for ``, `` and for a space)."""
    peers = [name.replace("__", ", ").replace("_", " ") for name in found]
    infos = [peer_info(name, family=name.partition(",")[0]) for name in peers]
    samples = [
        sample(workload, name, "all", **{figure: value}) for name, value in zip(peers, found.values(), strict=True)
    ]
    return Results(date="2030-01-02", machine={}, options=Options().as_dict(), peers=infos, samples=samples)


def claimed(results: Results) -> tuple[str, bool]:
    """Found, and whether it held."""
    (claim,) = claims(results)
    return claim.found, claim.held


def test_the_table_has_medians_their_spread_and_every_failure(compared: Results) -> None:
    text = render(compared)
    assert "| gifting | 100,002 (100,001–100,003) | 300,000 | 900,000 |" in text
    assert "| naive stack | 50,000 | 60,000; fell behind: 61% in time | – |" in text
    assert "| naive stack | failed | – |" in text
    assert "- naive stack, idle: PeerError: no \\| more memory" in text
    assert "- Gone: `get`" in text
    assert "| naive stack | 1.00 | 1.00 | 3.00 | – | no headroom: 90% of a core |" in text
    assert "Redis, cores" not in text, "nobody has a figure"
    assert "**naive stack** (1): All of naive stack." in text


def test_the_aims_are_held_against_the_figures(compared: Results) -> None:
    text = render(compared)
    row = "| Deliveries per CPU-second at 10 events/s | ≥ 0.95 × the best peer | 2.00 × (gifting: 100,002; "
    assert row in text
    assert "Reconnect storm, " not in text, "nobody else replays"
    worse = compared.samples[0].figures | {"deliveries_per_cpu_s": 1.0}
    compared.samples = [
        msgspec.structs.replace(one, figures=worse) if one.peer == "gifting" and one.case == "10/s" else one
        for one in compared.samples
    ]
    assert "| **no** |" in next(line for line in render(compared).splitlines() if "at 10 events/s" in line)


def test_a_run_with_a_problem_counts_on_neither_side(compared: Results) -> None:
    troubled = with_a_problem(compared, "gifting", "10/s")
    row = next(claim for claim in claims(troubled) if "at 10 events/s" in claim.text)
    assert row.found == "no run of ours was without a problem"
    assert not row.held
    cost = "deliveries_per_cpu_s"
    rooms = of_one_workload("rooms", cost, gifting=50.0, nchan=90.0, nchan__Redis=50.0)
    assert claimed(with_a_problem(rooms, "nchan")) == ("1.00 × (gifting: 50; nchan, Redis: 50)", True)


def test_where_all_rivals_had_a_problem_the_aim_is_held_against_the_best_of_them() -> None:
    rooms = of_one_workload("rooms", "deliveries_per_cpu_s", gifting=50.0, nchan=90.0, nchan__Redis=50.0)
    troubled = with_a_problem(with_a_problem(rooms, "nchan"), "nchan, Redis")
    assert claimed(troubled) == ("0.56 × (gifting: 50; nchan, not without a problem: 90)", False)


def with_a_problem(results: Results, peer: str, case: str = "") -> Results:
    """The same, but that a peer lost something in a case; in all, unless one is named."""
    found = copy.deepcopy(results)
    found.samples = [
        msgspec.structs.replace(one, problem="3 lost") if one.peer == peer and case in ("", one.case) else one
        for one in found.samples
    ]
    return found


def test_many_rooms_are_held_against_one_worker_with_one_worker_at_once() -> None:
    rooms = {"gifting": 50.0, "gifting__paced": 90.0, "gifting__two_workers": 80.0}
    theirs = {"nchan": 60.0, "nchan__Redis": 40.0, "nchan__two_workers": 70.0, "NATS": 100.0}
    cost = "deliveries_per_cpu_s"
    assert claimed(of_one_workload("rooms", cost, **rooms, **theirs)) == ("0.83 × (gifting: 50; nchan: 60)", False)
    assert claimed(of_one_workload("rooms", cost, **rooms | {"gifting": 51.0}, **theirs))[1]


def test_a_storm_is_met_with_one_worker() -> None:
    storm = of_one_workload("storm", "live_s", gifting=1.1, gifting__two_workers=0.5, Centrifugo=1.0)
    assert claimed(storm) == ("1.10 × (gifting: 1.1; Centrifugo: 1)", False)


def test_latency_may_have_the_best_nchan_and_the_99th_percentile_of_an_fsync() -> None:
    latency = of_one_workload("latency", "p99_ms", gifting=3.0, nchan=2.5, nchan__two_workers=2.0, NATS=1.0)
    assert not claims(latency), "no fsync was measured"
    for one, p99 in zip(latency.samples, (0.9, 1.0, 1.0, 1.1), strict=True):
        one.figures.update(fsync_p50_ms=p99 / 2, fsync_p99_ms=p99)
    assert claimed(latency) == ("gifting: 3; nchan, two workers: 2, fsync: 1, its median 0.5", True)
    latency.samples[0].figures["p99_ms"] = 3.01
    assert not claimed(latency)[1]


def test_an_idle_viewer_has_a_bound_of_its_own() -> None:
    assert claimed(of_one_workload("idle", "kib_per_viewer", gifting=3.0)) == ("gifting: 3; nobody else", True)
    assert claimed(of_one_workload("idle", "kib_per_viewer", gifting=3.01, nchan=10.0)) == (
        "gifting: 3.01; nchan: 10",
        False,
    )


def test_who_has_one_worker_and_who_paces_is_what_the_peers_are_started_with() -> None:
    ours = [peer for peer in all_peers() if issubclass(peer, Gifting)]
    nchans = [peer for peer in all_peers() if peer.family == "nchan"]
    alone = {peer.name for peer in ours if "GIFTING_WORKERS" not in peer.settings}
    assert alone | {peer.name for peer in nchans if vars(peer).get("workers", 1) == 1} == ONE_WORKER
    waits = {"GIFTING_ALL_INTERVAL", "GIFTING_BATCH_PAUSE"}
    assert {peer.name for peer in ours if waits & peer.settings.keys()} == PACED


async def test_each_append_of_the_probe_is_synced_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, sync = [], os.fdatasync

    def seen(file: int) -> None:
        sync(file)
        sizes.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fdatasync", seen)
    found = await fsync.probe(rate=100, seconds=0.2)
    assert sizes == [len(fsync.APPEND) * number for number in range(1, 21)]
    assert 0 < found["fsync_p50_ms"] <= found["fsync_p99_ms"]


def test_the_table_goes_between_the_marks_of_a_document(compared: Results) -> None:
    document = f"# Title\n\n{BEGIN}\nold\n{END}\n\nEnd.\n"
    text = insert(document, render(compared), ["results/a.svg"])
    assert "old" not in text
    assert "![a](results/a.svg)" in text
    assert text.startswith("# Title")
    assert text.endswith("End.\n")
    assert insert(text, render(compared), ["results/a.svg"]) == text
    with pytest.raises(ValueError, match="has no"):
        insert("nothing", "")
    assert BEGIN in (ROOT / "benchmarks" / "README.md").read_text()


def test_newer_workloads_replace_the_older_ones(compared: Results) -> None:
    sample = Sample(round=1, workload="idle", peer="Newcomer", case="5", figures={"kib_per_viewer": 1.0})
    info = msgspec.structs.replace(compared.peers[0], name="Newcomer")
    newer = msgspec.structs.replace(compared, peers=[info], samples=[sample])
    found = compared.updated(newer)
    assert [one for one in found.samples if one.workload == "idle"] == [sample]
    others = [one for one in compared.samples if one.workload != "idle"]
    assert others
    assert [one for one in found.samples if one.workload != "idle"] == others
    assert {one.name for one in found.peers} == {"Newcomer", *(one.name for one in compared.peers)}


def test_results_survive_the_file(compared: Results, tmp_path: Path) -> None:
    compared.write(tmp_path / "new" / "x.json")
    assert results.read(tmp_path / "new" / "x.json") == compared


def test_the_plots_are_drawn_and_drawn_the_same_again(compared: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.compare.plots import draw

    files = draw(compared, tmp_path)
    drawn = {path.name.removeprefix("2030-01-02-").removesuffix(".svg") for path in files}
    assert drawn == {"fanout", "idle", "latency", "storm"}
    before = [path.read_bytes() for path in files]
    assert [path.read_bytes() for path in draw(compared, tmp_path)] == before
    assert b"gifting" in before[0]


def test_percentiles_are_those_of_what_was_gained() -> None:
    gained = figures.since([(10.5, 5)], [(10.5, 5), (20.5, 98), (3000.0, 2)])
    assert gained == [(20.5, 98), (3000.0, 2)]
    assert figures.percentile(gained, 50) == 0.0205
    assert figures.percentile(gained, 99) == 3.0
    assert figures.percentile([], 99) == 0
