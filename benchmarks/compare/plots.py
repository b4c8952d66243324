"""A comparison as pictures (SVG)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.compare.results import FAILED, Results
from benchmarks.compare.table import installed

WIDE, HIGH = 8.0, 4.5
STYLE: Any = {"svg.hashsalt": "gifting", "svg.fonttype": "none", "font.size": 10, "axes.spines.top": False,
         "axes.spines.right": False, "figure.constrained_layout.use": True}  # fmt: skip
BARS = (
    ("idle", ("kib_per_viewer",), ("KiB",), "Memory per idle viewer", "KiB of the server"),
    ("latency", ("p50_ms", "p99_ms", "p999_ms"), ("p50", "p99", "p99.9"), "Delivery latency with headroom", "ms"),
    ("storm", ("live_s",), ("s",), "Reconnect storm: until all viewers are live again", "s"),
    ("gifts", ("gifts_per_cpu_s",), ("gifts",), "Durable gifts", "per CPU-second of server and Redis"),
)


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw what there are figures for; the files.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl  # noqa: PLC0415  optional: only those who draw need it

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    written = []
    with mpl.rc_context(STYLE):
        for name, figure in [("fanout", _rates(results, plt)), *((bar[0], _bars(results, plt, *bar)) for bar in BARS)]:
            if figure is not None:
                written.append(folder / f"{results.date}-{name}.svg")
                figure.savefig(written[-1], metadata={"Date": None})
                plt.close(figure)
    return written


def _rates(results: Results, plt: Any) -> Any:
    """Deliveries per CPU-second by rate, one line per peer. It ends with a cross where the peer falls behind."""
    cases = [case for case in results.cases("fanout") if case != FAILED]
    if not cases:
        return None
    figure, axes = plt.subplots(figsize=(WIDE, HIGH))
    axes.set_xscale("log")
    axes.minorticks_off()
    for number, peer in enumerate(installed(results)):
        points = [
            (_rate(case), spread.median, results.fell_behind("fanout", peer.name, case))
            for case in cases
            if (spread := results.figure("fanout", peer.name, case, "deliveries_per_cpu_s"))
        ]
        style = {"linestyle": "-" if number < 10 else "--", "color": f"C{number % 10}"}
        if points:
            axes.plot([x for x, _, _ in points], [y for _, y, _ in points], label=peer.name, **style)
        for x, y, behind in points:
            axes.plot(x, y, marker="X" if behind else "o", color=style["color"], markersize=9 if behind else 5)
    axes.set_xticks([_rate(case) for case in cases], [case.removesuffix("/s") for case in cases], minor=False)
    axes.set(yscale="log", xlabel="events per second", ylabel="deliveries per server-CPU-second")
    axes.set_title(f"One room, {results.options['viewers']:,.0f} viewers (✕: fell behind)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _rate(case: str) -> float:
    return float(case.removesuffix("/s").replace(",", ""))


def _bars(
    results: Results, plt: Any, workload: str, names: tuple[str, ...], labels: tuple[str, ...], title: str, unit: str
) -> Any:
    """One group of bars per peer, with the extremes of its rounds."""
    case = next((case for case in results.cases(workload) if case != FAILED), None)
    peers = [peer for peer in installed(results) if case and results.figure(workload, peer.name, case, names[0])]
    if case is None or not peers:
        return None
    figure, axes = plt.subplots(figsize=(WIDE, 1.2 + 0.32 * len(peers) * max(1.2, len(names) * 0.7)))
    height = 0.8 / len(names)
    for index, (name, label) in enumerate(zip(names, labels, strict=True)):
        spreads = [(row, results.figure(workload, peer.name, case, name)) for row, peer in enumerate(peers)]
        for row, spread in spreads:
            if spread is not None:
                extremes = [[spread.median - spread.least], [spread.most - spread.median]]
                place = row + (index - (len(names) - 1) / 2) * height
                named = None if row else label
                axes.barh(place, spread.median, height, xerr=extremes, color=f"C{index}", label=named)
    axes.set_yticks(range(len(peers)), [peer.name for peer in peers])
    axes.invert_yaxis()
    axes.set(xlabel=unit, title=f"{title} ({case})")
    if len(names) > 1:
        axes.legend(fontsize=8)
    return figure
