"""A comparison as Markdown, for ``benchmarks/README.md``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.compare.aims import claims
from benchmarks.compare.results import FAILED, PeerInfo, Results, Spread

Column = tuple[str, str, str]
"""Heading, name of the figure, format."""

BEGIN, END = "<!-- comparison -->", "<!-- end of the comparison -->"

LATENCY: tuple[Column, ...] = (
    ("p50, ms", "p50_ms", ".2f"),
    ("p99, ms", "p99_ms", ".2f"),
    ("p99.9, ms", "p999_ms", ".2f"),
)
CORES: tuple[Column, ...] = (("server, cores", "server_cores", ".2f"), ("Redis, cores", "redis_cores", ".2f"))
TABLES: tuple[tuple[str, str, tuple[Column, ...]], ...] = (
    (
        "rooms",
        "Many rooms",
        (
            ("deliveries per server-CPU-second", "deliveries_per_cpu_s", ",.0f"),
            ("server CPU per event, µs", "server_us_per_event", ",.0f"),
            *LATENCY,
            *CORES,
        ),
    ),
    (
        "idle",
        "Idle viewers",
        (
            ("server, KiB per viewer", "kib_per_viewer", ".1f"),
            ("Redis, KiB per viewer", "redis_kib_per_viewer", ".1f"),
            ("all were in after, s", "opened_s", ".1f"),
        ),
    ),
    (
        "gifts",
        "Durable gifts",
        (
            ("gifts per CPU-second, server + Redis", "gifts_per_cpu_s", ",.0f"),
            ("gifts/s", "gifts_per_s", ",.0f"),
            *LATENCY,
            *CORES,
        ),
    ),
    (
        "storm",
        "Reconnect storm",
        (
            ("all live again after, s", "live_s", ".2f"),
            ("server CPU, s", "server_cpu_s", ".2f"),
            ("Redis CPU, s", "redis_cpu_s", ".2f"),
            ("viewers that lost events", "lossy", ",.0f"),
        ),
    ),
    (
        "latency",
        "Latency with headroom",
        (
            *LATENCY,
            *CORES,
            ("fsync before it: p50, ms", "fsync_p50_ms", ".2f"),
            ("fsync: p99, ms", "fsync_p99_ms", ".2f"),
        ),
    ),
)


def render(results: Results) -> str:
    """Everything: figures, what each peer is, what was not run and why, and how it stands with the aims."""
    parts = [_heading(results), *_fanout(results)]
    for workload, title, columns in TABLES:
        parts += _table(results, workload, title, columns)
    parts += [_aims(results), _peers(results), _problems(results), _missing(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def insert(document: str, text: str, plots: Sequence[str] = ()) -> str:
    """The document with a rendered comparison and its plots (addresses) between its two marks.

    Raises:
        ValueError: it does not have them.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The document has no {BEGIN} … {END}.")
    pictures = "".join(f"![{Path(plot).stem}]({plot})\n\n" for plot in plots)
    return f"{before}{begin}\n\n{text}\n{pictures}{end}{after}"


def installed(results: Results) -> list[PeerInfo]:
    """Peers that could be run."""
    return [peer for peer in results.peers if peer.version is not None]


def _heading(results: Results) -> str:
    machine, options = results.machine, results.options
    return (
        f"{results.date}, {machine.get('cores', '?')} cores ({machine.get('model') or machine.get('processor', '?')}), "
        f"{machine.get('system', '?')}, Python {machine.get('python', '?')}; load and servers share it, over loopback. "
        f"Medians of {options['rounds']:.0f} rounds (lowest to highest), {options['seconds']:g} s measured per case."
    )


def _fanout(results: Results) -> Iterator[str]:
    """The workload with several cases: one column per rate."""
    cases = [case for case in results.cases("fanout") if case != FAILED]
    if not cases:
        return
    yield f"**One room**: {results.options['viewers']:,.0f} viewers, 200-byte events; deliveries per server-CPU-second"
    rows = []
    for peer in _taking_part(results, "fanout"):
        cells, stopped = [peer.name], ""
        for case in cases:
            spread = results.figure("fanout", peer.name, case, "deliveries_per_cpu_s")
            problem = results.problem("fanout", peer.name, case)
            skipped = stopped or _failed(results, "fanout", peer)
            cells.append(_cell(spread, ",.0f", problem) if spread or problem else skipped)
            if results.fell_behind("fanout", peer.name, case):
                stopped = "–"
        rows.append(cells)
    yield _markdown(["", *cases], rows)


def _table(results: Results, workload: str, title: str, columns: Sequence[Column]) -> Iterator[str]:
    for case in [case for case in results.cases(workload) if case != FAILED][:1]:
        yield f"**{title}**: {case}"
        peers, rows = _taking_part(results, workload), []
        columns = [one for one in columns if any(results.figure(workload, peer.name, case, one[1]) for peer in peers)]
        for peer in peers:
            spreads = [results.figure(workload, peer.name, case, name) for _, name, _ in columns]
            cells = [_cell(spread, style, "") for spread, (_, _, style) in zip(spreads, columns, strict=True)]
            if not any(spreads):
                cells[0] = _failed(results, workload, peer)
            rows.append([peer.name, *cells, _one_line(results.problem(workload, peer.name, case))])
        head = ["", *(heading for heading, _, _ in columns), "remark"]
        if not any(row[-1] for row in rows):
            head, rows = head[:-1], [row[:-1] for row in rows]
        yield _markdown(head, rows)


def _taking_part(results: Results, workload: str) -> list[PeerInfo]:
    return [peer for peer in installed(results) if results.of(workload, peer.name)]


def _cell(spread: Spread | None, style: str, problem: str) -> str:
    if spread is None:
        return _one_line(problem) or "–"
    text = format(spread.median, style)
    if spread.rounds > 1:
        text += f" ({spread.least:{style}}–{spread.most:{style}})"
    return f"{text}; {_one_line(problem)}" if problem else text


def _failed(results: Results, workload: str, peer: PeerInfo) -> str:
    return "failed" if results.problem(workload, peer.name, FAILED) else "–"


def _aims(results: Results) -> str:
    rows = [[claim.text, claim.aim, claim.found, "yes" if claim.held else "**no**"] for claim in claims(results)]
    return "**Aims**\n\n" + _markdown(["", "aim", "found", "held"], rows) if rows else ""


def _peers(results: Results) -> str:
    lines = [f"- **{peer.name}** ({peer.version}): {peer.about}" for peer in installed(results)]
    return "\n".join(["**Peers**", "", *lines]) if lines else ""


def _problems(results: Results) -> str:
    """Every failure in full, each once per peer and workload."""
    found = dict.fromkeys(
        (sample.peer, sample.workload, _one_line(sample.problem)) for sample in results.samples if sample.case == FAILED
    )
    lines = [f"- {peer}, {workload}: {problem}" for peer, workload, problem in found]
    return "\n".join(["**Failed**", "", *lines]) if lines else ""


def _missing(results: Results) -> str:
    families = dict.fromkeys((peer.family, peer.install) for peer in results.peers if peer.version is None)
    lines = [f"- {family}: `{install}`" for family, install in families]
    return "\n".join(["**Not installed**, so not run", "", *lines]) if lines else ""


def _one_line(text: str) -> str:
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= 300 else line[:297] + "…"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
