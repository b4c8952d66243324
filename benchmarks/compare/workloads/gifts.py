"""(d) The way of a gift, with money: each debited once and on disk before its reply."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.compare import figures
from benchmarks.compare.giver import Giver
from benchmarks.compare.load import ENTER_WITHIN_S, HERE, OPEN_AT_ONCE
from benchmarks.compare.meter import Meter, Reading
from benchmarks.compare.options import Options
from benchmarks.compare.peer import Peer, PeerError
from benchmarks.compare.workloads.workload import Outcome, Workload
from gifting.bench.driver import Counters, Driver
from gifting.bench.spec import Connection, encode
from gifting.load.socket import masked

ROOM = "room-0"
COINS = 10_000_000
ANSWERED_WITHIN_S = 10.0
POLL_S = 0.02
NO_KEY = "0" * 36


class Gifts(Workload):
    """Durable gifts per CPU second of server and Redis together."""

    name = "gifts"
    title = "Gifts"

    def suits(self, peer: type[Peer]) -> bool:
        return issubclass(peer, Giver)

    def seconds(self, options: Options) -> float:
        return 6 + options.warmup + 2 * options.seconds

    async def run(self, program: Path, peer: Peer, options: Options) -> AsyncGenerator[Outcome]:
        assert isinstance(peer, Giver)
        senders = range(options.senders)
        with tempfile.TemporaryDirectory(prefix="compare-", ignore_cleanup_errors=True) as folder:
            data, spec = Path(folder) / "peer", Path(folder) / "spec"
            data.mkdir()
            async with peer.run(data, [ROOM]) as running:
                await peer.grant(running, senders, COINS)
                spec.write_bytes(_spec(peer, running.port, options))
                async with Driver.run(program, "gifts", str(spec), str(options.in_flight)) as driver:
                    await driver.all_ready(ENTER_WITHIN_S)
                    found, end = await _measure(driver, Meter(running), options)
                left = await peer.coins(running, senders)
        yield Outcome(f"{options.senders} × {options.in_flight}", found, _problem(end, options.senders * COINS - left))


def _spec(peer: Giver, port: int, options: Options) -> bytes:
    template = masked(peer.gift_opcode, peer.gift(ROOM, NO_KEY))
    offset = template.find(NO_KEY.encode())
    if offset < 0:
        raise PeerError(f"{peer.name} does not put a gift's key into its bytes as it is.")
    connections = [
        Connection(peer.sender(ROOM, number), template=template, offset=offset) for number in range(options.senders)
    ]
    return encode((HERE, port), connections, at_once=OPEN_AT_ONCE, keep_alive=peer.keep_alive, replies=peer.replies)


async def _measure(driver: Driver, meter: Meter, options: Options) -> tuple[dict[str, float], Counters]:
    driver.tell(f"go 1 {options.warmup + 2 * options.seconds + 1}")
    await asyncio.sleep(options.warmup)
    before, counted = meter.read(), await driver.read()
    await asyncio.sleep(2 * options.seconds)
    after, end = meter.read(), await driver.read()
    driver.tell("stop")
    return _figures(before, after, counted, end), await _answered(driver)


async def _answered(driver: Driver) -> Counters:
    """The counters once no reply is outstanding, or after ``ANSWERED_WITHIN_S``."""
    end = asyncio.get_running_loop().time() + ANSWERED_WITHIN_S
    while (seen := await driver.read()).waiting and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(POLL_S)
    return seen


def _figures(before: Reading, after: Reading, counted: Counters, end: Counters) -> dict[str, float]:
    gifts = end.accepted - counted.accepted
    server, redis = after.server_cpu - before.server_cpu, after.redis_cpu - before.redis_cpu
    seconds = after.at - before.at
    found = {
        "gifts_per_s": gifts / seconds,
        "server_cores": server / seconds,
        "redis_cores": redis / seconds,
        "refused": float(end.refused),
    }
    if server + redis > 0:
        found["gifts_per_cpu_s"] = gifts / (server + redis)
    return found | figures.latency(counted, end)


def _problem(end: Counters, charged: int) -> str:
    """Every accepted gift was charged once, and nothing else was."""
    if end.waiting or end.gone:
        return f"{end.waiting} gifts were never answered, {end.gone} connections closed by the server"
    if end.refused:
        return f"{end.refused} gifts were refused"
    return "" if charged == end.accepted else f"{end.accepted:,} gifts were accepted and {charged:,} were charged"


WORKLOAD = Gifts()
