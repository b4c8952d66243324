"""A soak's result for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gifting.bench.render import audit_lines
from gifting.bench.soak.options import Memory, SoakResult


def render_soak(result: SoakResult, console: Console) -> None:
    """Print what happened, the memory of each process, and the audit."""
    options = result.options
    title = f"{options.senders} lively_senders and {options.viewers} viewers in {options.rooms} rooms on two nodes"
    table = Table(title=f"{title}; {result.seconds:g} s", title_justify="left", show_header=False, box=None)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in rows(result):
        table.add_row(name, value)
    second = faults_table(result) if result.options.faults else memory_table(result.memory)
    console.print(Group(table, Text(), second, Text(), *audit_lines(result.audit)))


def rows(result: SoakResult) -> Iterator[tuple[str, str]]:
    """Each count with its name."""
    yield "accepted gifts", f"{result.gifts:,}"
    yield "asked for again with the same key", f"{result.repeated:,}"
    yield "free events", f"{result.free_events:,}"
    yield "event deliveries", f"{result.deliveries:,}"
    if result.ack.count:
        yield "ack latency p50 / p99", f"{result.ack.p50:.2f} / {result.ack.p99:.2f} ms"
    for action, count in sorted(result.actions.items()):
        yield f"viewers: {action}", f"{count:,}"
    for close, count in sorted(result.closes.items()):
        yield f"viewers closed by the server with {close}", f"{count:,}"
    for error, count in sorted(result.refused.items()):
        yield f"refused: {error}", f"{count:,}"
    if result.unsent:
        yield "gifts not sent: too many without a reply", f"{result.unsent:,}"


def faults_table(result: SoakResult) -> Table:
    """How often each kind came, and how long it took until all was well."""
    table = Table(title="faults, and ms until both nodes took money again", title_justify="left", box=None)
    table.add_column("kind")
    for title in ("times", "median", "longest"):
        table.add_column(title, justify="right")
    for one in result.faults:
        table.add_row(one.kind, f"{one.times:,}", f"{one.median_ms:,.0f}", f"{one.longest_ms:,.0f}")
    table.add_row("in all", f"{sum(one.times for one in result.faults):,}", style="bold")
    return table


def memory_table(memory: list[Memory]) -> Table:
    """MiB of each process, and its slope where there were samples enough."""
    table = Table(title="resident memory, MiB", title_justify="left", box=None)
    table.add_column("node")
    for title in ("first", "last", "peak", "slope, MiB/h", "noise", "over"):
        table.add_column(title, justify="right")
    for one in memory:
        slope, noise = "too short", ""
        if one.slope is not None:
            slope = f"{one.slope.mib_per_hour:+.1f} ± {one.slope.plus_minus:.1f}"
            noise = f"{one.slope.noise_mib:.2f}"
        values = (f"{value:.1f}" for value in (one.first_mib, one.last_mib, one.peak_mib))
        table.add_row(one.node, *values, slope, noise, f"{one.seconds:.0f} s")
    return table
