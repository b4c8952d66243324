"""From counters to figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from benchmarks.compare.load import Moment
from gifting.bench.driver import Counters

Histogram = Iterable[tuple[float, int]]


def since(before: Histogram, after: Histogram) -> list[tuple[float, int]]:
    """What a histogram gained between two readings."""
    gained = Counter(dict(after))
    gained.subtract(dict(before))
    return sorted((us, count) for us, count in gained.items() if count)


def percentile(histogram: Histogram, percent: float) -> float:
    """The value (ms) below which ``percent`` of a histogram in µs lies; 0 of an empty one."""
    cells = sorted(histogram)
    wanted, seen = percent / 100 * sum(count for _, count in cells), 0
    for us, count in cells:
        seen += count
        if seen >= wanted:
            return us / 1000
    return 0.0


def latency(before: Counters, after: Counters) -> dict[str, float]:
    """Percentiles in ms, if there was anything."""
    gained = since(before.latency, after.latency)
    if not gained:
        return {}
    return {f"p{name}_ms": percentile(gained, percent) for name, percent in (("50", 50), ("99", 99), ("999", 99.9))}


def fanout(before: Moment, after: Moment, viewers_per_event: int) -> dict[str, float]:
    """Of a window in which each event goes to ``viewers_per_event`` viewers."""
    deliveries = after.viewers.events - before.viewers.events
    due = (after.viewers.published - before.viewers.published) * viewers_per_event
    seconds = (after.viewers.now_ns - before.viewers.now_ns) / 1e9
    figures = usage(before, after)
    # The window may end just before an event arrives: one event is no sign of a backlog.
    in_time = min(1.0, (deliveries + viewers_per_event) / due) if due else 0.0
    figures |= {"deliveries_per_s": deliveries / seconds, "delivered": in_time}
    if figures["server_cpu_s"] > 0:
        figures["deliveries_per_cpu_s"] = deliveries / figures["server_cpu_s"]
    if deliveries:
        figures["server_us_per_event"] = figures["server_cpu_s"] * 1e6 * viewers_per_event / deliveries
    return figures | latency(before.viewers, after.viewers)


def usage(before: Moment, after: Moment) -> dict[str, float]:
    """CPU of the server, of its Redis and of the viewers, in seconds and in cores."""
    seconds = after.peer.at - before.peer.at
    server = after.peer.server_cpu - before.peer.server_cpu
    redis = after.peer.redis_cpu - before.peer.redis_cpu
    return {
        "seconds": seconds,
        "server_cpu_s": server,
        "redis_cpu_s": redis,
        "server_cores": server / seconds,
        "redis_cores": redis / seconds,
        "viewers_cores": (after.viewers.cpu_s - before.viewers.cpu_s) / seconds,
    }


def faults(before: Counters, after: Counters) -> dict[str, float]:
    """Events lost, repeated and out of order, and connections gone, between two readings; ``missing`` is how many are
    still to come at the second one."""
    names = ("lost", "repeated", "disordered", "stray", "gone")
    return {name: getattr(after, name) - getattr(before, name) for name in names} | {"missing": after.missing}


def complaint(figures: dict[str, float]) -> str:
    """What is wrong in the numbers of the events; empty if nothing is."""
    names = {
        "lost": "lost", "missing": "never arrived", "repeated": "came twice", "disordered": "out of order",
        "stray": "of another room", "gone": "connections closed by the server",
    }  # fmt: skip
    return ", ".join(f"{figures[name]:,.0f} {text}" for name, text in names.items() if figures.get(name))
