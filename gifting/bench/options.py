"""What a bench is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from gifting.errors import BadSetting


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """One bench run.

    Args:
        url: server to load (``http://``); empty starts a private one, with its own Redis.
        secret: what signs the tokens of the server at ``url``.
        data_dir: data directory of the server at ``url``, for ``gifting audit``; empty skips that audit.
        senders: connections that send gifts.
        in_flight: gifts each of them keeps waiting for a reply, when there is no ``rate``.
        viewers: connections that listen and check every frame.
        drain: more viewers, that only count bytes and frames, in C; needs ``cc``.
        rooms: rooms the senders and viewers are spread over.
        rate: gifts/s over all senders, at fixed times whatever the replies do; 0 is as fast as replies come.
        duration: seconds measured.
        warmup: seconds of load before that.
        lane: ``all`` or ``live``.
        idle: first measure the server's memory for this many viewers that only listen.
        slow_reader: seconds for which one more viewer reads nothing; the others are measured for ``duration``
            before, during and for ``duration`` after. 0: none.
        floor: measure the kernel's floor too; needs ``cc``.
        processes: load processes of each kind; 0 lets the number of cores decide.
        gift: what is sent.
        workers: server processes of the private server.
        json: file the result is written to; empty writes none.
    """

    url: str = ""
    secret: str = ""
    data_dir: str = ""
    senders: int = 50
    in_flight: int = 8
    viewers: int = 100
    drain: int = 0
    rooms: int = 1
    rate: float = 0.0
    duration: float = 10.0
    warmup: float = 2.0
    lane: str = "all"
    idle: int = 0
    slow_reader: float = 0.0
    floor: bool = False
    processes: int = 0
    gift: str = "spark"
    workers: int = 1
    json: str = ""

    def __post_init__(self) -> None:
        """Raises :class:`BadSetting` for what can't be run."""
        bounds = {
            "senders": (0, 20_000),
            "in_flight": (1, 1000),
            "viewers": (0, 20_000),
            "drain": (0, 20_000),
            "rooms": (1, 1000),
            "rate": (0, 1_000_000),
            "duration": (0.5, 3600),
            "warmup": (0, 600),
            "idle": (0, 20_000),
            "slow_reader": (0, 600),
            "processes": (0, 64),
            "workers": (1, 64),
        }
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                raise BadSetting(f"--{name} is {getattr(self, name)}; it must be {least} to {most}.")
        if self.lane not in {"all", "live"}:
            raise BadSetting(f"--lane is {self.lane!r}; it must be all or live.")
        if self.slow_reader and not self.viewers:
            raise BadSetting("--slow-reader needs other viewers to compare with.")
        if self.url and not self.secret:
            raise BadSetting("--url needs the server's secret in GIFTING_SECRET.")


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a latency, in ms; ``count`` is how many were measured."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Memory of viewers that only listen."""

    viewers: int
    rss_bytes: int
    kib_per_viewer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """What one reader that stopped reading did to the others, to the server and to itself."""

    before: Percentiles
    during: Percentiles
    after: Percentiles
    p99_ratio: float
    """During over before."""
    rss_growth_bytes: int
    """Highest server RSS while it did not read, above the one when it stopped."""
    caught_up_s: float
    """From reading again to level with the others; -1: never."""
    closes: int
    """How often the server closed it; it came back by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What the C viewers counted, over their whole life."""

    viewers: int
    frames: int
    bytes: int
    events: int
    lost: int
    fallen: int
    closes: int
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A C loop of ``send()`` on the same machine, and how the server compares."""

    us_per_send: float
    gift_ratio: float | None = None
    """Server CPU per gift over the floor, without viewers."""
    frame_ratio: float | None = None
    """Server CPU per frame and viewer over the floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Whether every accepted gift was debited, credited and delivered exactly once."""

    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """All figures are of the measured seconds only. CPU is user + system. None: it can't be known."""

    options: BenchOptions
    machine: dict[str, str]
    seconds: float
    gifts: int
    gifts_per_s: float
    refused: dict[str, int]
    late: int
    unsent: int
    unanswered: int
    ack: Percentiles
    delivery: Percentiles
    deliveries: int
    deliveries_per_s: float
    frames: int
    events_per_frame: float
    server_cpu_s: float | None
    server_us_per_gift: float | None
    server_us_per_delivery: float | None
    server_us_per_frame: float | None
    deliveries_per_server_cpu_s: float | None
    redis_cpu_s: float | None
    redis_us_per_gift: float | None
    ledger_calls: int | None
    ledger_items: int | None
    load_cpu_s: float
    other_cpu_s: float | None
    server_rss_bytes: int | None
    audit: Audit
    idle: Idle | None = None
    slow: Slow | None = None
    drained: Drained | None = None
    floor: Floor | None = None
