"""The aims of the comparison, each held against what was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.compare.results import FAILED, PeerInfo, Results

OURS = "gifting"
NAIVE = "naive stack"


class Aim(NamedTuple):
    """What our best configuration should reach, as a multiple of the best rival's.

    A configuration that had a problem in the case (it fell behind, lost or mixed up events) counts on neither side.
    """

    text: str
    workload: str
    case: str
    """Of the workload; empty: the only one it has."""
    figure: str
    more_is_better: bool
    bound: float
    rivals: Callable[[PeerInfo], bool] = lambda peer: True
    who: str = "best peer"


AIMS = (
    Aim("Deliveries per CPU-second at 1,000 events/s", "fanout", "1,000/s", "deliveries_per_cpu_s", True, 3.0),
    Aim("Deliveries per CPU-second at 10 events/s", "fanout", "10/s", "deliveries_per_cpu_s", True, 0.95),
    Aim(
        *("Durable gifts per CPU-second", "gifts", "", "gifts_per_cpu_s", True, 5.0),
        rivals=lambda peer: peer.family == NAIVE,
        who=NAIVE,
    ),
    Aim("Memory per idle viewer", "idle", "", "kib_per_viewer", False, 1.0),
    Aim("p99 latency at equal load", "latency", "", "p99_ms", False, 1.2),
    Aim(
        *("Reconnect storm", "storm", "", "live_s", False, 1.0),
        rivals=lambda peer: peer.replays,
        who="best peer that replays",
    ),
)


class Claim(NamedTuple):
    """One aim: what it is about, what was asked, what was found."""

    text: str
    aim: str
    found: str
    held: bool


def claims(results: Results) -> list[Claim]:
    """Those for which there are figures of somebody else."""
    return [claim for aim in AIMS if (claim := judge(results, aim)) is not None]


def judge(results: Results, aim: Aim) -> Claim | None:
    """An aim against the results; None where no rival has a figure."""
    asked = f"{'≥' if aim.more_is_better else '≤'} {aim.bound:g} × the {aim.who}"
    theirs = _best(results, aim, lambda peer: peer.family != OURS and aim.rivals(peer))
    if theirs is None:
        return None
    ours = _best(results, aim, lambda peer: peer.family == OURS)
    if ours is None:
        return Claim(aim.text, asked, "no run of ours was without a problem", held=False)
    ratio = ours[0] / theirs[0] if theirs[0] else 0.0
    found = f"{ratio:.2f} × ({ours[1]}: {_short(ours[0])}; {theirs[1]}: {_short(theirs[0])})"
    return Claim(aim.text, asked, found, ratio >= aim.bound if aim.more_is_better else ratio <= aim.bound)


def _best(results: Results, aim: Aim, counts: Callable[[PeerInfo], bool]) -> tuple[float, str] | None:
    """The best median, and whose it is."""
    case = aim.case or next((case for case in results.cases(aim.workload) if case != FAILED), "")
    found = [
        (spread.median, peer.name)
        for peer in results.peers
        if counts(peer)
        and (spread := results.figure(aim.workload, peer.name, case, aim.figure))
        and not results.problem(aim.workload, peer.name, case)
    ]
    pick: Any = max if aim.more_is_better else min
    return pick(found, default=None)  # type: ignore[no-any-return]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
