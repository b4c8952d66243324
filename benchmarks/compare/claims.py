"""The aims of the comparison, each held against what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.compare.results import FAILED, PeerInfo, Results

OURS = "gifting"
NAIVE = "naive stack"


class Claim(NamedTuple):
    """One aim: what it is about, what was asked, what was found."""

    text: str
    aim: str
    found: str
    held: bool


def claims(results: Results) -> list[Claim]:
    """Those for which there are figures, of us and of somebody else. None holds where our own run had a problem."""
    return [claim for claim in _all(results) if claim is not None]


def _all(results: Results) -> Iterator[Claim | None]:
    many = _cases(results, "fanout", "1,000/s"), _cases(results, "fanout", "10/s")
    best = max, "deliveries_per_cpu_s"
    yield _at_least(results, "Deliveries per CPU-second at 1,000 events/s", "fanout", many[0], *best, 3.0)
    yield _at_least(results, "Deliveries per CPU-second at 10 events/s", "fanout", many[1], *best, 0.95)
    gifts = _cases(results, "gifts", "")
    yield _at_least(results, "Durable gifts per CPU-second", "gifts", gifts, max, "gifts_per_cpu_s", 5.0, family=NAIVE)
    yield _at_most(results, "Memory per idle viewer", "idle", "kib_per_viewer", 1.0)
    yield _at_most(results, "p99 latency at equal load", "latency", "p99_ms", 1.2)
    yield _at_most(results, "Reconnect storm, of those that replay", "storm", "live_s", 1.0, replays=True)


def _cases(results: Results, workload: str, wanted: str) -> str:
    return next((case for case in results.cases(workload) if case != FAILED and wanted in ("", case)), "")


def _at_least(
    results: Results,
    text: str,
    workload: str,
    case: str,
    pick: Callable[..., tuple[float, str]],
    figure: str,
    least: float,
    family: str = "",
) -> Claim | None:
    found = _ratio(results, workload, case, figure, pick, lambda peer: family in ("", peer.family))
    sound = not results.problem(workload, OURS, case)
    aim = f"≥ {least:g} × the {family or 'best peer'}"
    return found and Claim(text, aim, found[1], sound and found[0] >= least)


def _at_most(
    results: Results, text: str, workload: str, figure: str, most: float, *, replays: bool = False
) -> Claim | None:
    case = _cases(results, workload, "")
    found = _ratio(results, workload, case, figure, min, lambda peer: peer.replays or not replays)
    sound = not results.problem(workload, OURS, case)
    return found and Claim(text, f"≤ {most:g} × the best peer", found[1], sound and found[0] <= most)


def _ratio(
    results: Results,
    workload: str,
    case: str,
    figure: str,
    pick: Callable[..., tuple[float, str]],
    counts: Callable[[PeerInfo], bool],
) -> tuple[float, str] | None:
    """Ours in its first configuration over the best of the others, and both in words."""
    ours = results.figure(workload, OURS, case, figure)
    others = [
        (spread.median, peer.name)
        for peer in results.peers
        if peer.family != OURS and counts(peer) and (spread := results.figure(workload, peer.name, case, figure))
    ]
    if ours is None or not others:
        return None
    value, name = pick(others)
    ratio = ours.median / value if value else 0.0
    return ratio, f"{ratio:.2f} × ({_short(ours.median)} against {_short(value)} of {name})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
