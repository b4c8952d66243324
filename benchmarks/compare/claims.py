"""What an aim can ask of our figures, and whether they hold it."""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from benchmarks.compare.results import FAILED, PeerInfo, Results

OURS: Final = "gifting"

Counts = Callable[[PeerInfo], bool]


class Claim(NamedTuple):
    """One aim: what it is about, what was asked, what was found."""

    text: str
    aim: str
    found: str
    held: bool


class Best(NamedTuple):
    """The best median of a figure, and whose it is."""

    value: float
    name: str

    def __str__(self) -> str:
        return f"{self.name}: {_short(self.value)}"


class Limit(NamedTuple):
    """What a figure of ours is held against, and how it comes about."""

    value: float
    said: str


@dataclass(frozen=True, kw_only=True)
class Aim(ABC):
    """What our best configuration should reach.

    A configuration that had a problem in the case (it fell behind, lost or mixed up events) counts on neither side. But
    where all rivals had one, the best of them is what there is to be held against, and the claim says so.

    Args:
        case: of the workload; empty: the only one it has.
        ours: which of our configurations count.
    """

    text: str
    workload: str
    figure: str
    case: str = ""
    more_is_better: bool = False
    ours: Counts = lambda peer: True

    @property
    @abstractmethod
    def asked(self) -> str:
        """The aim in a few words."""

    @abstractmethod
    def limit(self, results: Results) -> Limit | None:
        """What to reach; None where the results don't say."""

    def judge(self, results: Results) -> Claim | None:
        """The aim against the results; None where there is nothing to hold it against."""
        limit = self.limit(results)
        if limit is None:
            return None
        ours = self.best(results, lambda peer: peer.family == OURS and self.ours(peer))
        if ours is None:
            return Claim(self.text, self.asked, "no run of ours was without a problem", held=False)
        held = ours.value >= limit.value if self.more_is_better else ours.value <= limit.value
        return Claim(self.text, self.asked, self.found(ours, limit), held)

    def found(self, ours: Best, limit: Limit) -> str:
        """Both sides of it."""
        return f"{ours}; {limit.said}"

    def best(self, results: Results, counts: Counts, *, troubled: bool = False) -> Best | None:
        """Of those that count and had no problem in the case, or had one; None if none has the figure."""
        case = self._case(results)
        found = [
            Best(spread.median, f"{peer.name}, not without a problem" if troubled else peer.name)
            for peer in results.peers
            if counts(peer)
            and (spread := results.figure(self.workload, peer.name, case, self.figure))
            and bool(results.problem(self.workload, peer.name, case)) is troubled
        ]
        pick: Any = max if self.more_is_better else min
        return pick(found, default=None)  # type: ignore[no-any-return]

    def rival(self, results: Results, counts: Counts) -> Best | None:
        """The best of somebody else's."""

        def theirs(peer: PeerInfo) -> bool:
            return peer.family != OURS and counts(peer)

        return self.best(results, theirs) or self.best(results, theirs, troubled=True)

    def _case(self, results: Results) -> str:
        return self.case or next((case for case in results.cases(self.workload) if case != FAILED), "")


@dataclass(frozen=True, kw_only=True)
class Times(Aim):
    """A multiple of the best rival's."""

    factor: float
    rivals: Counts = lambda peer: True
    who: str = "best peer"

    @property
    def asked(self) -> str:
        return f"{'≥' if self.more_is_better else '≤'} {self.factor:g} × the {self.who}"

    def limit(self, results: Results) -> Limit | None:
        theirs = self.rival(results, self.rivals)
        return Limit(self.factor * theirs.value, str(theirs)) if theirs and theirs.value else None

    def found(self, ours: Best, limit: Limit) -> str:
        return f"{ours.value / limit.value * self.factor:.2f} × ({ours}; {limit.said})"


@dataclass(frozen=True, kw_only=True)
class PlusFsync(Aim):
    """At most the best rival's and one fsync. Both are 99th percentiles: each of our events waits for an fsync of its
    own, so that the slowest hundredth of these is in the slowest hundredth of those, however fast the rest is."""

    rivals: Counts
    who: str

    @property
    def asked(self) -> str:
        return f"≤ the {self.who} + one fsync's p99"

    def limit(self, results: Results) -> Limit | None:
        theirs = self.rival(results, self.rivals)
        median, p99 = (self._disk(results, name) for name in ("fsync_p50_ms", "fsync_p99_ms"))
        if theirs is None or median is None or p99 is None:
            return None
        return Limit(theirs.value + p99, f"{theirs}, fsync: {_short(p99)}, its median {_short(median)}")

    def _disk(self, results: Results, name: str) -> float | None:
        """Over all rounds and peers, since the disk is the same."""
        samples = (sample for sample in results.samples if sample.workload == self.workload)
        values = [sample.figures[name] for sample in samples if name in sample.figures]
        return statistics.median(values) if values else None


@dataclass(frozen=True, kw_only=True)
class AtMost(Aim):
    """A figure of its own, whatever anybody else's is."""

    most: float
    unit: str

    @property
    def asked(self) -> str:
        return f"≤ {self.most:g} {self.unit}"

    def limit(self, results: Results) -> Limit | None:
        theirs = self.rival(results, lambda peer: True)
        return Limit(self.most, str(theirs or "nobody else")) if results.cases(self.workload) else None


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
