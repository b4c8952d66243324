"""From counters to figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gifting.bench.calls import Calls
from gifting.bench.options import Audit, BenchOptions, BenchResult, Drained, Floor, Idle, Percentiles, Slow
from gifting.bench.usage import Usage
from gifting.load.histogram import merge
from gifting.load.plan import Report, SenderReport, ViewerReport


class Window:
    """Readings at the boundaries of the phases, and the highest memory seen within each."""

    def __init__(self, phases: Sequence[float], knows_server: bool, knows_redis: bool) -> None:
        self.seconds = sum(phases)
        self.knows_server = knows_server
        self.knows_redis = knows_redis
        self.marks: list[Usage] = []
        self.peaks: list[int] = [0]
        self._drained: list[Drained | None] = []

    def tick(self, server_rss: int) -> None:
        self.peaks[-1] = max(self.peaks[-1], server_rss)

    def mark(self, usage: Usage, drained: Drained | None) -> None:
        self.marks.append(usage)
        self._drained.append(drained)
        self.tick(usage.server_rss)
        self.peaks.append(usage.server_rss)

    def drained(self) -> tuple[int, int]:
        """Events and frames that went to the viewers in C."""
        first, last = self._drained[0], self._drained[-1]
        return (last.events - first.events, last.frames - first.frames) if first and last else (0, 0)

    @property
    def server_cpu(self) -> float | None:
        return self.marks[-1].server_cpu - self.marks[0].server_cpu if self.knows_server else None

    @property
    def redis_cpu(self) -> float | None:
        return self.marks[-1].redis_cpu - self.marks[0].redis_cpu if self.knows_redis else None

    @property
    def load_cpu(self) -> float:
        return self.marks[-1].load_cpu - self.marks[0].load_cpu

    @property
    def other_cpu(self) -> float | None:
        """What everything else on the machine used meanwhile."""
        if self.server_cpu is None:
            return None
        all_of_it = self.marks[-1].machine_cpu - self.marks[0].machine_cpu
        return max(0.0, all_of_it - self.server_cpu - (self.redis_cpu or 0) - self.load_cpu)


def assemble(
    options: BenchOptions,
    *,
    machine: dict[str, str],
    window: Window,
    reports: Sequence[Report],
    audit: Audit,
    idle: Idle | None,
    drained: Drained | None,
    us_per_send: float | None,
    calls: Calls | None,
) -> BenchResult:
    """The result of a run."""
    senders = [report for report in reports if isinstance(report, SenderReport)]
    viewers = [report for report in reports if isinstance(report, ViewerReport)]
    gifts = sum(sum(report.gifts) for report in senders)
    deliveries, frames = _seen(viewers, window)
    cpu, redis_cpu = window.server_cpu, window.redis_cpu
    per_gift, per_frame = _us_each(cpu, gifts), _us_each(cpu, frames)
    return BenchResult(
        options=options,
        machine=machine,
        seconds=window.seconds,
        gifts=gifts,
        gifts_per_s=gifts / window.seconds,
        refused=dict(sum((Counter(report.refused) for report in senders), Counter())),
        late=sum(report.late for report in senders),
        unsent=sum(report.unsent for report in senders),
        unanswered=sum(report.unanswered for report in senders),
        ack=percentiles([text for report in senders for text in report.ack]),
        delivery=percentiles([text for report in viewers for text in report.delivery]),
        deliveries=deliveries,
        deliveries_per_s=deliveries / window.seconds,
        frames=frames,
        events_per_frame=deliveries / frames if frames else 0.0,
        server_cpu_s=cpu,
        server_us_per_gift=per_gift,
        server_us_per_delivery=_us_each(cpu, deliveries),
        server_us_per_frame=per_frame,
        deliveries_per_server_cpu_s=deliveries / cpu if cpu and deliveries else None,
        redis_cpu_s=redis_cpu,
        redis_us_per_gift=_us_each(redis_cpu, gifts),
        ledger_calls=calls.calls if calls else None,
        ledger_items=calls.items if calls else None,
        load_cpu_s=window.load_cpu,
        other_cpu_s=window.other_cpu,
        server_rss_bytes=max(window.peaks) if window.knows_server else None,
        audit=audit,
        idle=idle,
        slow=_slow(viewers, window) if options.slow_reader else None,
        drained=drained,
        # With viewers the server's CPU is theirs, without there are no frames: one of the two means something.
        floor=_floor(us_per_send, None if frames else per_gift, per_frame),
    )


def _seen(viewers: Sequence[ViewerReport], window: Window) -> tuple[int, int]:
    """Events and frames, of all viewers."""
    events, frames = window.drained()
    events += sum(sum(report.events) for report in viewers)
    return events, frames + sum(sum(report.frames) for report in viewers)


def _us_each(seconds: float | None, count: int) -> float | None:
    return None if seconds is None or not count else seconds * 1e6 / count


def _floor(us_per_send: float | None, per_gift: float | None, per_frame: float | None) -> Floor | None:
    if us_per_send is None:
        return None
    return Floor(
        us_per_send=us_per_send,
        gift_ratio=per_gift / us_per_send if per_gift else None,
        frame_ratio=per_frame / us_per_send if per_frame else None,
    )


def _slow(viewers: Sequence[ViewerReport], window: Window) -> Slow:
    before, during, after = (percentiles([report.delivery[phase] for report in viewers]) for phase in range(3))
    slow = viewers[0]
    return Slow(
        before=before,
        during=during,
        after=after,
        p99_ratio=during.p99 / before.p99 if before.p99 else 0.0,
        rss_growth_bytes=window.peaks[2] - window.marks[1].server_rss,
        caught_up_s=slow.slow_caught_up_s,
        closes=slow.slow_closed,
    )


def percentiles(encoded: Sequence[str]) -> Percentiles:
    """Of histograms in µs, as ms."""
    histogram: Any = merge(encoded)
    count = histogram.get_total_count()
    if not count:
        return Percentiles()
    p50, p99, p999 = (histogram.get_value_at_percentile(percent) / 1000 for percent in (50, 99, 99.9))
    return Percentiles(count, p50, p99, p999, histogram.get_max_value() / 1000)
