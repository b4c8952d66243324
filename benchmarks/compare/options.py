"""What is compared, and how much of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much each workload does.

    Args:
        rounds: of all peers in turn.
        seconds: measured per case.
        warmup: seconds of the same load before that.
        viewers: of one room, in the fan-out workload.
        rates: events/s in it, rising.
        rooms, room_viewers: of the workload with many rooms.
        rooms_rate: events/s in it, over all rooms.
        idle: connections whose memory is measured.
        senders, in_flight: connections that send gifts, and how many each keeps waiting.
        storm: viewers that drop and come back.
        few_viewers, few_rate: of the latency workload.
    """

    rounds: int = 3
    seconds: float = 3.5
    warmup: float = 1.0
    viewers: int = 1000
    rates: tuple[int, ...] = (10, 100, 1000, 5000)
    rooms: int = 200
    room_viewers: int = 20
    rooms_rate: float = 1000.0
    idle: int = 10_000
    senders: int = 200
    in_flight: int = 8
    storm: int = 5000
    few_viewers: int = 100
    few_rate: float = 100.0

    def as_dict(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self) | {"rates": list(self.rates)}

    def quick(self) -> Options:
        """A run that shows that everything works, and no figures worth keeping."""
        return replace(
            self, rounds=1, seconds=1.0, warmup=0.3, viewers=100, rooms=20, room_viewers=5, rooms_rate=200.0,
            idle=300, senders=20, in_flight=4, storm=100, few_viewers=20,
        )  # fmt: skip


PUBLISHERS: Final = 8
"""Of a room with many viewers."""
DRAIN_WITHIN_S: Final = 3.0
"""A peer that needs longer to hand over what is queued falls behind."""
DELIVERED_LEAST: Final = 0.98
"""A peer that delivers less of what was published meanwhile falls behind."""
