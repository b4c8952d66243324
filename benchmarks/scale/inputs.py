"""What the plan is made of: what is asked, how it is set up, and what was measured, each with where it is from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

BENCH: Final = "benchmarks/README.md"
MEASURE: Final = "`python -m benchmarks.scale --measure`"
ON_CLUSTER: Final = "`python -m benchmarks.scale --measure-cluster`"
ASKED: Final = "asked"
CHOSEN: Final = "chosen"


class Source(NamedTuple):
    """What a number counts, what it means, and where it is from."""

    unit: str
    text: str
    origin: str


def of(value: float, unit: str, text: str, origin: str) -> Any:
    """A field with its source."""
    return field(default=value, metadata={"source": Source(unit, text, origin)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Every number the plan is computed from; each can be given as a flag of its name."""

    gifts: float = of(1_000_000, "/s", "gifts of all senders", ASKED)
    viewers: float = of(1_000_000, "", "viewers of the one great room", ASKED)
    senders: float = of(1_000_000, "", "senders, who watch other rooms: a gift a second each", ASKED)
    rooms: float = of(100_000, "", "other rooms", ASKED)
    hot_host: float = of(0.01, "of all gifts", "gifts that go to the great room", ASKED)
    hot_sender: float = of(20, "/s", "gifts of the busiest sender", ASKED)

    load: float = of(0.6, "of a core", "how busy a process may be", CHOSEN)
    partitions: float = of(256, "", "`--partitions`, 256 at most", CHOSEN)
    batch_pause: float = of(0.25, "s", "`--batch-pause`: a node writes to a master no sooner than so", CHOSEN)
    live_interval: float = of(0.5, "s", "`--live-interval`: between two frames of a viewer", CHOSEN)
    live_top: float = of(3, "", "`--live-top`: gifts in a frame, and as many other events", CHOSEN)
    replicas: float = of(2, "", "replicas of each master: with one its restart stalls the acks", CHOSEN)
    card: float = of(10, "Gbit/s", "network of one machine", CHOSEN)
    election: float = of(6, "s", "until a dead master's replica takes over and is found", CHOSEN)
    archived: float = of(60, "s", "until entries are archived and leave Redis", CHOSEN)
    window: float = of(660, "s", "`--dedupe-window` and `--key-lead`: as long as a key is known", CHOSEN)

    call: float = of(185, "µs", "a master's CPU for a ledger call, a debit or a credit", ON_CLUSTER)
    room: float = of(80, "µs", "for each room of a credit call: its log, ranks, streaks", ON_CLUSTER)
    gift: float = of(20.7, "µs", "for both halves of a gift", ON_CLUSTER)
    round: float = of(461, "µs", "for a round of a node: fsync, WAIT, wake-ups", ON_CLUSTER)
    replica_gift: float = of(12, "µs", "a replica's CPU for a gift in large batches", BENCH)
    node_gift: float = of(18.7, "µs", "a full node's CPU for a gift", ON_CLUSTER)
    node_call: float = of(78.5, "µs", "a full node's CPU for a ledger call", ON_CLUSTER)
    node_event: float = of(0.28, "µs", "to read and conflate an event for lane `live`", MEASURE)
    frame: float = of(8.1, "µs", "a node's CPU to write a frame of 200 B to a viewer", BENCH)
    frame_kib: float = of(0.1, "µs", "for each further KiB of the frame", MEASURE)
    join: float = of(120, "µs", "a node's CPU for a viewer that comes back (storm of 5,000)", BENCH)
    publish: float = of(8, "µs", "a master's CPU to write a batch of events to a node", BENCH)
    archive_entry: float = of(6.9, "µs", "the archiver's CPU for an entry, into PostgreSQL", "docs/archive.md")

    event_bytes: float = of(338, "B", "a gift's event with a text of 27 characters", MEASURE)
    key_bytes: float = of(81, "B", "Redis memory of a gift's key", MEASURE)
    entry_bytes: float = of(169, "B", "Redis memory of a gift's ledger entries", MEASURE)
    log_bytes: float = of(412, "B", "Redis memory of an event in a room's log", MEASURE)
    append_bytes: float = of(745, "B", "append-only file and replication of a gift", MEASURE)
    call_bytes: float = of(178, "B", "a gift in a ledger call", MEASURE)
    ask_bytes: float = of(88, "B", "a viewer's `send_gift`", MEASURE)
    ack_bytes: float = of(97, "B", "its reply", MEASURE)
    viewer_kib: float = of(2.6, "KiB", "a node's memory for a viewer, the kernel's socket apart", BENCH)


def sources() -> list[tuple[str, float, Source]]:
    """Of each input its name, the value it has where none is given, and its source."""
    return [(one.name, float(one.default), one.metadata["source"]) for one in fields(Inputs)]  # type: ignore[arg-type]
