"""The ledger batcher alone: client CPU and gifts/s, beside what everyone writes first. ``python benchmarks/ledger.py``

Three ways to do one durable gift on the same private Redis (``appendfsync always``), in turn, three rounds, medians:

- ``batcher``: our batcher, 2,048 gifts in flight, batches of up to 512, the collector set as a node sets it;
- ``await evalsha``: a plain one-gift script, awaited gift by gift;
- ``redis-benchmark``: the same plain script from C, 16 pipelined (if redis-benchmark is installed).
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from gifting.config import load
from gifting.ledger.connect import connect
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.money import make_key
from gifting.node import GC_THRESHOLDS

SECONDS = 4.0
ROUNDS = 3
IN_FLIGHT = 2048
SENDERS = 200
KEYS_READY = 400_000

ONE_GIFT = """
local balance = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
if balance < 1 then return redis.error_reply('insufficient coins') end
redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
redis.call('HINCRBY', KEYS[2], 'host', 500)
redis.call('ZINCRBY', KEYS[3], 1, ARGV[1])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100000, '*', 'e', ARGV[2])
redis.call('PUBLISH', 'plain', ARGV[2])
return balance - 1
"""
KEYS = ("plain:coins", "plain:diamonds", "plain:top", "plain:log")
EVENT = "e" * 300


def new_key() -> str:
    return make_key(time.time_ns() // 1_000_000, os.urandom(10))


async def batcher(url: str) -> tuple[float, float]:
    """(client CPU µs per gift, gifts/s)."""
    ledger = Ledger(url, load(environ={}), load_catalog())
    await ledger.start()
    room = await ledger.rooms.open(f"room-{new_key()}", "host", "Host", "")
    senders = [
        ledger.gifts.sender(f"u{n}", {"id": f"u{n}", "name": f"User {n}", "picture": "", "level": 1})
        for n in range(SENDERS)
    ]
    for sender in senders:
        await ledger.wallets.grant(sender.id, 10**9, new_key(), "bench", "bench")
    keys = [new_key() for _ in range(KEYS_READY)]  # clients make them
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    finished = asyncio.Event()
    done = submitted = 0
    end = time.perf_counter() + SECONDS

    def one(_: object = None) -> None:
        nonlocal done, submitted
        done += _ is not None
        if time.perf_counter() < end and submitted < KEYS_READY:
            sender, key = senders[submitted % SENDERS], keys[submitted]
            submitted += 1
            ledger.gifts.submit(sender, room, "spark", key, 1, None, one)
        elif done == submitted:
            finished.set()

    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(IN_FLIGHT):
        one()
    await finished.wait()
    result = (time.process_time() - cpu) / done * 1e6, done / (time.perf_counter() - began)
    await ledger.stop()
    return result


async def plain(url: str) -> tuple[float, float]:
    redis = connect(url, 5)
    sha = await redis.script_load(ONE_GIFT)
    await redis.hset(KEYS[0], mapping={f"u{n}": 10**9 for n in range(SENDERS)})
    done, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < SECONDS:
        await redis.evalsha(sha, len(KEYS), *KEYS, f"u{done % SENDERS}", EVENT)
        done += 1
    result = (time.process_time() - cpu) / done * 1e6, done / (time.perf_counter() - began)
    await redis.aclose()
    return result


async def from_c(url: str) -> float | None:
    """Gifts/s."""
    if shutil.which("redis-benchmark") is None:
        return None
    process = await asyncio.create_subprocess_exec(
        *("redis-benchmark", "-s", url.removeprefix("unix://"), "-n", "150000", "-P", "16", "-q"),
        *("eval", ONE_GIFT, str(len(KEYS)), *KEYS, "u1", EVENT),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return float(re.findall(rb"([\d.]+) requests per second", out)[-1])


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gifting-bench-") as directory:
        redis = EmbeddedRedis(Path(directory) / "data")
        url = await redis.start()
        rounds = [(await batcher(url), await plain(url), await from_c(url)) for _ in range(ROUNDS)]
        await redis.stop()
    ours, theirs = (statistics.median(row[0][0] for row in rounds), statistics.median(row[1][0] for row in rounds))
    rate = statistics.median(row[0][1] for row in rounds)
    print(f"client CPU per gift: batcher {ours:.1f} µs, await evalsha {theirs:.1f} µs, ratio 1/{theirs / ours:.1f}")
    if rounds[0][2] is not None:
        floor = statistics.median(row[2] or 0 for row in rounds)
        print(f"durable gifts/s: batcher {rate:,.0f}, redis-benchmark -P 16 {floor:,.0f}, ratio {rate / floor:.2f}")
    else:
        print(f"durable gifts/s: batcher {rate:,.0f} (redis-benchmark is not installed: Debian's redis-tools)")


if __name__ == "__main__":
    uvloop.run(main())
