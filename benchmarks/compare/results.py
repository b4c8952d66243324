"""What a comparison found: the results file, and medians over its rounds."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

FAILED = "failed"
"""The case of a sample that says why a peer could not do a workload."""


class PeerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One server in one configuration. ``version`` is None where it is not installed."""

    name: str
    family: str
    version: str | None
    install: str
    about: str
    replays: bool


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One case of one workload in one round: its figures, or the problem that it ended with, or both."""

    round: int
    workload: str
    peer: str
    case: str
    figures: dict[str, float] = {}
    problem: str = ""


class Results(msgspec.Struct, kw_only=True):
    """A comparison."""

    date: str
    machine: dict[str, str]
    options: dict[str, Any]
    peers: list[PeerInfo]
    samples: list[Sample] = []

    def cases(self, workload: str) -> list[str]:
        """The cases of a workload, in the order in which they were first run."""
        return list(dict.fromkeys(sample.case for sample in self.samples if sample.workload == workload))

    def of(self, workload: str, peer: str, case: str | None = None) -> list[Sample]:
        """All rounds of a peer in a workload, or in one case of it."""
        return [
            sample
            for sample in self.samples
            if (sample.workload, sample.peer) == (workload, peer) and case in (None, sample.case)
        ]

    def figure(self, workload: str, peer: str, case: str, name: str) -> Spread | None:
        """A figure over the rounds that have it; None if none has."""
        values = [one.figures[name] for one in self.of(workload, peer, case) if name in one.figures]
        return Spread(statistics.median(values), min(values), max(values), len(values)) if values else None

    def problem(self, workload: str, peer: str, case: str) -> str:
        """What went wrong in a case, in the first round in which something did; empty if nothing did."""
        return next((one.problem for one in self.of(workload, peer, case) if one.problem), "")

    def fell_behind(self, workload: str, peer: str, case: str) -> bool:
        """Whether it did in any round."""
        return any(one.figures.get("behind") for one in self.of(workload, peer, case))

    def updated(self, newer: Results) -> Results:
        """These, with the workloads of ``newer`` in place of those of the same names: each is of one run as a whole."""
        done = {sample.workload for sample in newer.samples}
        names = {peer.name for peer in newer.peers}
        kept = [sample for sample in self.samples if sample.workload not in done]
        peers = [*newer.peers, *(peer for peer in self.peers if peer.name not in names)]
        return msgspec.structs.replace(self, peers=peers, samples=[*kept, *newer.samples])

    def write(self, path: Path) -> None:
        """As JSON, for people to read too."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


class Spread(NamedTuple):
    """The median over the rounds, the extremes, and how many rounds there were."""

    median: float
    least: float
    most: float
    rounds: int


def read(path: Path) -> Results:
    """A results file. Raises OSError, and msgspec.DecodeError for another file."""
    return msgspec.json.decode(path.read_bytes(), type=Results)
