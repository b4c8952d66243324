"""A bench result for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gifting.bench.options import Audit, BenchResult, Percentiles

MIB = 1 << 20


def render(result: BenchResult, console: Console) -> None:
    """Print the figures and the audit."""
    table = Table(title=_title(result), title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in rows(result):
        table.add_row(name, value)
    why = [Text(why), Text()] if (why := explain(result)) else []
    console.print(Group(table, Text(), *why, *audit_lines(result.audit)))


def rows(result: BenchResult) -> Iterator[tuple[str, str]]:
    """Each figure with its name, in reading order; what was not measured is left out."""
    yield "accepted gifts/s", f"{result.gifts_per_s:,.0f}"
    yield "event deliveries/s", f"{result.deliveries_per_s:,.0f}"
    yield "events per frame", f"{result.events_per_frame:,.1f}"
    yield from _latency("ack", result.ack)
    yield from _latency("delivery", result.delivery)
    yield from _cost("server CPU per gift", result.server_us_per_gift)
    yield from _cost("server CPU per delivery", result.server_us_per_delivery)
    yield from _cost("server CPU per frame and viewer", result.server_us_per_frame)
    if result.deliveries_per_server_cpu_s is not None:
        yield "deliveries per server CPU second", f"{result.deliveries_per_server_cpu_s:,.0f}"
    yield from _cost("Redis CPU per gift", result.redis_us_per_gift)
    yield (
        "CPU of server / Redis / load / all else",
        " / ".join(
            "?" if cpu is None else f"{cpu / result.seconds:.0%}"
            for cpu in (result.server_cpu_s, result.redis_cpu_s, result.load_cpu_s, result.other_cpu_s)
        ),
    )
    if result.server_rss_bytes is not None:
        yield "server memory, highest", f"{result.server_rss_bytes / MIB:,.0f} MiB"
    if result.options.rate:
        yield "gifts sent late / not sent", f"{result.late:,} / {result.unsent:,}"
    for code, count in sorted(result.refused.items()):
        yield f"refused: {code}", f"{count:,}"
    yield from _extras(result)


def explain(result: BenchResult) -> str:
    """Why a gift costs what it costs in this run, in one sentence; empty where it can't be known."""
    calls, items, gifts = result.ledger_calls, result.ledger_items, result.gifts
    if not calls or not items or not gifts:
        return ""
    frames = f" and {result.frames / gifts:,.1f} frames to viewers" if result.frames else ""
    return (
        "Light load costs more per gift than full load, because a ledger call and a frame cost about the same however "
        f"much is in them: here a call took {items / calls:,.1f} gifts on average, so each gift bears "
        f"{calls / gifts:.2f} calls{frames}; under full load a call takes hundreds."
    )


def _extras(result: BenchResult) -> Iterator[tuple[str, str]]:
    if idle := result.idle:
        yield f"memory per idle viewer ({idle.viewers:,})", f"{idle.kib_per_viewer:.1f} KiB"
    if slow := result.slow:
        yield (
            "p99 of others, before / during / after",
            " / ".join(f"{phase.p99:.1f}" for phase in (slow.before, slow.during, slow.after))
            + f" ms (ratio {slow.p99_ratio:.2f})",
        )
        yield "server memory grew by", f"{slow.rss_growth_bytes / MIB:.1f} MiB"
        yield "slow reader caught up after", f"{slow.caught_up_s:.1f} s, closed {slow.closes} times"
    if drained := result.drained:
        yield f"frames to {drained.viewers:,} viewers in C", f"{drained.frames:,}"
    if floor := result.floor:
        yield "floor: C send()", f"{floor.us_per_send:.1f} µs"
        if floor.gift_ratio is not None:
            yield "server CPU per gift / floor", f"{floor.gift_ratio:.1f}"
        if floor.frame_ratio is not None:
            yield "server CPU per frame and viewer / floor", f"{floor.frame_ratio:.2f}"


def _title(result: BenchResult) -> str:
    options = result.options
    load = f"{options.rate:,.0f} gifts/s" if options.rate else f"{options.in_flight} in flight each"
    viewers = f"{options.viewers + options.drain:,} viewers (lane {options.lane})"
    return f"{options.senders} senders, {load}; {viewers} in {options.rooms} rooms; {result.seconds:.0f} s"


def _latency(name: str, found: Percentiles) -> Iterator[tuple[str, str]]:
    if found.count:
        values = f"{found.p50:.2f} / {found.p99:.2f} / {found.p999:.2f} ms"
        yield f"{name} latency p50 / p99 / p99.9", values


def _cost(name: str, us: float | None) -> Iterator[tuple[str, str]]:
    if us is not None:
        yield name, f"{us:.2f} µs"


def audit_lines(audit: Audit) -> Iterator[Text]:
    """What was checked, and every problem."""
    for line in audit.checked:
        yield Text(f"  checked: {line}", style="green" if audit.passed else "")
    for line in audit.problems:
        yield Text(f"  PROBLEM: {line}", style="bold red")
