"""What a soak is asked, and what it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gifting.bench.options import Audit, Percentiles
from gifting.errors import BadSetting

SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
SHORTEST_S, LONGEST_S = 3.0, 23 * 3600.0
"""A shorter soak is over before its first streak; a longer one would outlive its tokens, which last a day."""


def parse_duration(text: str) -> float:
    """Seconds from ``90``, ``90s``, ``10m`` or ``1.5h``. Raises :class:`BadSetting`."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smh]?)", text.strip())
    if found is None:
        raise BadSetting(f"--soak is {text!r}; write 90s, 10m, 1h or plain seconds.")
    return float(found[1]) * SECONDS[found[2]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakOptions:
    """One soak.

    Args:
        seconds: how long the load lasts.
        senders: lively: streaks of gifts, with free events in between.
        viewers: connections that listen and check every frame; half of them come and go.
        rooms: rooms they are spread over.
        rate: gifts/s of all senders, about.
        stay: mean seconds until a viewer that churns does something. Short, so that a soak of minutes has the comings
            and goings of hours.
        restart: stop the second node with SIGTERM in the middle, and start it again.
        slope_max: MiB/h a node may grow, if its confidence leaves no doubt; None: growth is only shown.
        faults: what can fail fails at random moments, one thing after another. Then nothing is restarted in the middle,
            and memory is not measured.
        json: file the result is written to; empty writes none.
    """

    seconds: float
    senders: int = 50
    viewers: int = 100
    rooms: int = 4
    rate: float = 200.0
    stay: float = 1.0
    restart: bool = True
    slope_max: float | None = None
    faults: bool = False
    json: str = ""

    def __post_init__(self) -> None:
        """Raises :class:`BadSetting` for what can't be run."""
        bounds = {
            "seconds": (SHORTEST_S, LONGEST_S),
            "senders": (2, 20_000),
            "viewers": (4, 20_000),
            "rooms": (1, 1000),
            "rate": (1, 100_000),
            "stay": (0.1, 3600),
        }
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                flag = "soak" if name == "seconds" else name
                raise BadSetting(f"--{flag} is {getattr(self, name)}; with --soak it must be {least:g} to {most:g}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """Growth by least squares; ``plus_minus`` is its 95 % confidence."""

    mib_per_hour: float
    plus_minus: float
    noise_mib: float
    """Standard deviation of the samples around the line."""
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory of one server process while the load lasted; ``slope`` is of what follows the warm-up."""

    node: str
    seconds: float
    first_mib: float
    last_mib: float
    peak_mib: float
    slope: Slope | None
    series: list[tuple[float, float]] = field(default_factory=list)
    """(seconds after the load began, MiB), for whoever wants to draw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """One kind of fault, and the time from the end of each until both nodes took money again."""

    kind: str
    times: int
    median_ms: float
    longest_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakResult:
    """What happened, and whether the books hold. ``memory`` has a line per process: a node that was restarted, two."""

    options: SoakOptions
    machine: dict[str, str]
    seconds: float
    gifts: int
    repeated: int
    free_events: int
    unsent: int
    refused: dict[str, int]
    ack: Percentiles
    deliveries: int
    actions: dict[str, int]
    closes: dict[int, int]
    memory: list[Memory]
    audit: Audit = field(default_factory=Audit)
    faults: list[Faults] = field(default_factory=list)
