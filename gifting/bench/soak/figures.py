"""From what the processes of a soak report to its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gifting.bench.figures import percentiles
from gifting.bench.options import Audit
from gifting.bench.run import machine
from gifting.bench.soak.options import Faults, Memory, SoakOptions, SoakResult
from gifting.load.plan import Report, SenderReport, ViewerReport


def check_slopes(audit: Audit, memory: Iterable[Memory], slope_max: float | None) -> None:
    """Growth beyond doubt is a problem, where the user has said how much is too much."""
    for one in memory:
        slope = one.slope
        if slope_max is not None and slope is not None and slope.mib_per_hour - slope.plus_minus > slope_max:
            audit.problems.append(
                f"The {one.node} grew by {slope.mib_per_hour:.1f} ± {slope.plus_minus:.1f} MiB/h; "
                f"--slope-max is {slope_max:g}."
            )


def assemble(
    options: SoakOptions, reports: Iterable[Report], memory: list[Memory], audit: Audit, faults: list[Faults]
) -> SoakResult:
    """The result of a soak."""
    reports = list(reports)
    senders = [report for report in reports if isinstance(report, SenderReport)]
    viewers = [report for report in reports if isinstance(report, ViewerReport)]
    return SoakResult(
        options=options,
        machine=machine(),
        seconds=options.seconds,
        gifts=sum(report.accepted for report in senders),
        repeated=sum(report.repeated for report in senders),
        free_events=sum(report.free for report in senders),
        unsent=sum(report.unsent for report in senders),
        refused=dict(sum((Counter(report.refused) for report in senders), Counter())),
        ack=percentiles([text for report in senders for text in report.ack]),
        deliveries=sum(sum(report.events) for report in viewers),
        actions=dict(sum((Counter(report.actions) for report in viewers), Counter())),
        closes=dict(sum((Counter(report.closes) for report in viewers), Counter())),
        memory=memory,
        audit=audit,
        faults=faults,
    )
