"""The ledger: where it is kept, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass

from gifting.config.bounds import MEMORY_MAX, PARTITIONS_MAX, TEN_YEARS
from gifting.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The data."""

    redis: str = setting(
        "",
        "Redis URL (redis://, rediss:// or unix://; redis+cluster:// or rediss+cluster:// with host:port,host:port for "
        "a Redis Cluster). Empty: start a private one in the data directory.",
    )
    durability: str = setting(
        "every-replica",
        "When a Redis Cluster has written: every-replica, once it is on its master's disk and all its replicas have "
        "it, those too that are down and may be elected; replica, once one has it, and of several another may be "
        "elected; disk, on the disk only: a failover may lose what was acknowledged; managed, when the service says "
        "so (MemoryDB).",
    )
    allow_unsafe_redis: bool = setting(
        False, "Run on a Redis whose settings can lose acknowledged gifts, or that does not tell them; only warn."
    )
    data_dir: str = setting("gifting-data", "Where the private Redis and the signing secret live.")
    archive: str = setting(
        "",
        "Where the archive is: sqlite:///path or postgresql://user@host/database; off: there is none. Empty: with the "
        "private Redis, archive.db in the data directory; with another, none.",
    )
    archive_backlog: float = setting(
        300.0, "Age of what is not archived yet above which /readyz says that the node is degraded.", least=1
    )
    seal_key: str = setting(
        "", "Where the key is that signs the archive's seals (Ed25519, PEM). Empty: seal.key in the data directory."
    )
    seals: str = setting("", "The file of seals outside the archive. Empty: seals.jsonl in the data directory.")
    maxmemory: int = setting(
        0,
        "Memory limit of the private Redis; 0: none. At the limit gifts are refused, never lost.",
        least=0,
        most=MEMORY_MAX,
    )
    key_prefix: str = setting("gifting", "First part of every Redis key.")
    partitions: int = setting(16, "Logical shards. Fixed once data exists.", least=1, most=PARTITIONS_MAX)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The ledger."""

    dedupe_window: float = setting(
        600.0, "How long a gift's key is remembered; older keys are refused.", least=1, most=86400
    )
    key_lead: float = setting(60.0, "How far a key's timestamp may be ahead of the server's clock.", least=1, most=3600)
    grant_window: float = setting(
        30 * 86400.0, "How long a grant's key is remembered; older keys are refused.", least=60, most=TEN_YEARS
    )
    streak_window: float = setting(3.0, "A streak ends this long after its last gift.", least=0.05, most=60)
    diamonds_per_coin: str = setting("1/2", "Diamonds a creator earns per coin, as a fraction or a decimal.")
    room_retention: float = setting(
        7 * 86400.0, "How long an ended room's log and ranking are kept.", least=1, most=TEN_YEARS
    )
    creator_rooms: int = setting(10, "Live rooms of one host.", least=1)
    log_keep: int = setting(100_000, "Events kept in a room's log for replay.", least=100)
    batch_max: int = setting(512, "Gifts in one ledger call at most.", least=1, most=1000)
    batch_queue: int = setting(20_000, "Gifts that may wait for the ledger; more are refused as overloaded.", least=1)
    free_queue: int = setting(
        5_000,
        "Events without a gift that may wait for the ledger. While much waits, gifts go first: these have a quarter of "
        "each call then.",
        least=1,
    )
    batch_pause: float = setting(
        0.0,
        "Pause after a ledger call before one that is not full; above 0 trades latency for CPU. On a Redis Cluster the "
        "pause between two writes to a master; 0 stands for 0.01 there.",
        least=0,
        most=1,
    )
    ledger_timeout: float = setting(
        5.0, "How long a gift may wait for Redis before its sender is told to ask again.", least=0.1
    )
