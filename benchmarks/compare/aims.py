"""The aims of the comparison."""

from __future__ import annotations

from typing import Final

from benchmarks.compare.claims import Aim, AtMost, Claim, PlusFsync, Times
from benchmarks.compare.results import PeerInfo, Results

NAIVE: Final = "naive stack"
NCHAN: Final = "nchan"
ONE_WORKER: Final = frozenset({"gifting", "gifting, paced", "gifting, JSON", "nchan", "nchan, Redis"})
"""Those of our configurations and of nchan's that are one process."""
PACED: Final = frozenset({"gifting, paced"})
"""Those of ours that hold an event back for others to share its frame, which nchan never does."""


def _one_worker(peer: PeerInfo) -> bool:
    return peer.name in ONE_WORKER


def _one_worker_at_once(peer: PeerInfo) -> bool:
    return peer.name in ONE_WORKER - PACED


def _nchan(peer: PeerInfo) -> bool:
    return peer.family == NCHAN


AIMS: Final[tuple[Aim, ...]] = (
    Times(
        text="Deliveries per CPU-second at 1,000 events/s",
        workload="fanout",
        case="1,000/s",
        figure="deliveries_per_cpu_s",
        more_is_better=True,
        factor=3.0,
    ),
    Times(
        text="Deliveries per CPU-second at 10 events/s",
        workload="fanout",
        case="10/s",
        figure="deliveries_per_cpu_s",
        more_is_better=True,
        factor=0.95,
    ),
    Times(
        text="Deliveries per CPU-second in many rooms: one worker each, neither of them paced",
        workload="rooms",
        figure="deliveries_per_cpu_s",
        more_is_better=True,
        ours=_one_worker_at_once,
        factor=0.85,
        rivals=lambda peer: _nchan(peer) and _one_worker(peer),
        who="best nchan",
    ),
    PlusFsync(
        text="p99 latency with headroom, ms",
        workload="latency",
        figure="p99_ms",
        rivals=_nchan,
        who="best nchan",
    ),
    Times(
        text="Reconnect storm, ours with one worker",
        workload="storm",
        figure="live_s",
        ours=_one_worker,
        factor=1.0,
        rivals=lambda peer: peer.replays,
        who="best peer that replays",
    ),
    Times(
        text="Durable gifts per CPU-second",
        workload="gifts",
        figure="gifts_per_cpu_s",
        more_is_better=True,
        factor=6.0,
        rivals=lambda peer: peer.family == NAIVE,
        who=NAIVE,
    ),
    AtMost(text="Memory per idle viewer, KiB", workload="idle", figure="kib_per_viewer", most=3.0, unit="KiB"),
)


def claims(results: Results) -> list[Claim]:
    """Those for which there are figures to hold them against."""
    return [claim for aim in AIMS if (claim := aim.judge(results)) is not None]
