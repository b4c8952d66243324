"""The inputs that this machine can tell by itself: bytes of what is sent and kept, a node's CPU for an event."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from benchmarks.ledger import new_key
from benchmarks.micro import samples
from gifting.config import load
from gifting.ledger.connect import connect
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.ledger import Ledger
from gifting.load.socket import masked
from gifting.model.catalog import load_catalog
from gifting.wire.batch import read_batches
from gifting.wire.codec import BINARY, MSGPACK
from gifting.wire.conflate import conflate

EVENTS: Final = 256
GIFTS: Final = 50_000
WARM: Final = 10_000
SENDERS, ROOMS = 1000, 32
WRITES: Final = 10_000
KIB: Final = 16
KEPT: Final = {"keys": "key_bytes", "ledger": "entry_bytes", "room": "log_bytes"}
"""What follows the partition in a key's name, and the input that it is."""


async def measure() -> list[tuple[str, float]]:
    """Each input's name and what was found. Takes about ten seconds."""
    return [*sizes(), ("node_event", event_cost()), ("frame_kib", kib_cost()), *await kept()]


def sizes() -> Iterator[tuple[str, float]]:
    """Of messages and events: what the codec makes of them."""
    yield "event_bytes", len(samples.published(load_catalog(), EVENTS)) / EVENTS
    yield "ask_bytes", len(masked(BINARY, samples.lone_gift()))
    ack = {"re": 7, "ok": True, "seq": 4711, "event_id": "lobby.4711", "coins": 99_000, "repeat_count": 4}
    yield "ack_bytes", len(MSGPACK.encode(ack | {"streak_id": "lobby.4711", "duplicate": False})) + 4


def event_cost() -> float:
    """µs."""
    payload = samples.published(load_catalog(), EVENTS)
    began = time.process_time()
    for _ in range(1000):
        conflate(read_batches(payload), 8, set())
    return (time.process_time() - began) / 1000 / EVENTS * 1e6


def kib_cost() -> float:
    """µs of the kernel for a KiB more in one ``send``."""
    pairs = [(_send_cost(200), _send_cost(200 + KIB * 1024)) for _ in range(5)]
    return max(0.0, min(large for _, large in pairs) - min(small for small, _ in pairs)) / KIB


def _send_cost(size: int) -> float:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        with theirs:
            data, spent = bytes(size), 0.0
            for _ in range(WRITES):
                began = time.thread_time()
                ours.sendall(data)
                spent += time.thread_time() - began
                theirs.recv(1 << 20)
    return spent / WRITES * 1e6


async def kept() -> list[tuple[str, float]]:
    """Bytes of a gift in one Redis: in memory by kind, in a call, and in its append-only file."""
    with tempfile.TemporaryDirectory(prefix="gifting-bench-") as directory:
        server = EmbeddedRedis(Path(directory) / "data")
        url = await server.start()
        redis = connect(url, 5)
        ledger = Ledger(url, load(environ={}), load_catalog())
        try:
            await ledger.start()
            before = await _give(ledger, redis, WARM)
            after = await _give(ledger, redis, GIFTS)
            found = await _by_kind(redis, WARM + GIFTS)
        finally:
            await ledger.stop()
            await redis.aclose()
            await server.stop()
    growth = {name: (after[name] - before[name]) / GIFTS for name in ("aof_current_size", "total_net_input_bytes")}
    return [*found, ("append_bytes", growth["aof_current_size"]), ("call_bytes", growth["total_net_input_bytes"])]


async def _give(ledger: Ledger, redis: Redis, count: int) -> Any:
    """So many gifts of different senders to different rooms; what Redis says of itself then."""
    rooms = [await ledger.rooms.open(f"room-{n}", f"host-{n}", "Host", "") for n in range(ROOMS)]
    senders = [ledger.gifts.sender(f"u{n}", samples.USER | {"id": f"u{n}"}) for n in range(SENDERS)]
    for sender in senders:
        await ledger.wallets.grant(sender.id, 10**9, new_key(), "bench", "bench")
    finished = asyncio.Event()
    sent = done = 0

    def one(result: object = None) -> None:
        nonlocal sent, done
        done += result is not None
        if sent < count:
            sent += 1
            ledger.gifts.submit(senders[sent % SENDERS], rooms[sent * 7 % ROOMS], "spark", new_key(), 1, None, one)
        elif done == count:
            finished.set()

    for _ in range(2048):
        one()
    await finished.wait()
    return await redis.info()


async def _by_kind(redis: Redis, gifts: int) -> list[tuple[str, float]]:
    found: Counter[str] = Counter()
    async for key in redis.scan_iter(count=1000):
        kind = key.decode().split(":")[2]
        found[kind] += await redis.memory_usage(key, samples=0) or 0
    return [(name, found[kind] / gifts) for kind, name in KEPT.items()]
