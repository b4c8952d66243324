"""One run: a cluster, nodes before it, a load, faults by a seed, and the verdict."""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from benchmarks.chaos.books import check_seen, judge
from benchmarks.chaos.faults import Breakage, Kind
from benchmarks.chaos.giver import Gift, Giver
from benchmarks.chaos.proof import prove
from benchmarks.chaos.reading import read_books, read_fenced
from benchmarks.chaos.shape import Options, Result
from benchmarks.chaos.watcher import Watcher
from gifting.bench.options import BenchOptions
from gifting.bench.run import GRANT
from gifting.bench.server import OVERRIDES, Server
from gifting.errors import GiftingError
from gifting.ledger.cluster.slots import tags
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.embedded.moving import moves_at_once
from gifting.ledger.keys import Keys
from gifting.load.operator import Operator
from gifting.load.plan import Target

WELL_WITHIN_S: Final = 30.0
"""After a fault each node must ack a gift again within so many seconds."""

KNOWN_WITHIN_S: Final = 60.0
"""After the load it must be known of each gift within so many seconds what became of it."""

POLL_S: Final = 0.02
PREFIX: Final = "gifting"


Show = Callable[[str], None]


async def run(options: Options, show: Show = lambda text: None) -> Result:
    """Raises GiftingError: a node did not start, or not again."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gifting-chaos-", dir=_memory())))
        cluster = EmbeddedCluster(
            folder,
            masters=options.masters,
            replicas=options.replicas,
            binary=Path(options.engine) if options.engine else None,
            node_timeout=options.node_timeout,
            settings={"min-replicas-to-write": "0"} if options.durability == "disk" else {},
        )
        stack.push_async_callback(cluster.stop)
        url = await cluster.start()
        gateways: list[Server] = []
        for _ in range(options.gateways):
            secret = gateways[0].target.secret if gateways else secrets.token_hex(32)
            server = Server(BenchOptions(), redis=url, secret=secret, overrides=OVERRIDES | _settings(options))
            gateways.append(await stack.enter_async_context(server))
        return await Run(options, cluster, gateways, show).whole()


class Run:
    """A cluster and nodes that run, and what is done to them."""

    def __init__(self, options: Options, cluster: EmbeddedCluster, gateways: Sequence[Server], show: Show) -> None:
        self._options, self._cluster, self._gateways, self._show = options, cluster, gateways, show
        self._chance = random.Random(options.seed)
        self._keys = Keys(PREFIX, options.partitions, tags(options.partitions))
        self._rooms = [f"room-{number}" for number in range(options.rooms)]
        self._result = Result(options)
        self._acks: list[tuple[float, float, str]] = []
        self._deaths: list[tuple[float, frozenset[str]]] = []
        self._well: list[tuple[float, str]] = []
        self._over = self._gone = False
        targets = [gateway.target for gateway in gateways]
        pause = options.senders / options.rate
        self._givers = [self._giver(number, targets, pause) for number in range(options.senders)]
        self._probes = [self._giver(-1 - number, [target], 0.1) for number, target in enumerate(targets)]
        self._watchers = [
            Watcher(f"viewer-{number}", self._rooms[number % len(self._rooms)], targets, options.seed + number)
            for number in range(options.watchers)
        ]

    async def whole(self) -> Result:
        """Load, faults, and the end."""
        operator, everyone = Operator(self._gateways[0].target, "chaos"), [*self._givers, *self._probes]
        await operator.open_rooms(self._rooms)
        await operator.grant_each([giver.user for giver in everyone], GRANT)
        breakage = Breakage(
            self._cluster,
            self._gateways,
            self._keys.bases,
            self._chance,
            self._died,
            at_once=await moves_at_once(self._cluster),
        )
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            giving = [group.create_task(giver.live(lambda: self._over)) for giver in everyone]
            watching = [group.create_task(watcher.live(lambda: self._gone)) for watcher in self._watchers]
            try:
                await self._break(breakage)
            finally:
                self._over = True
            await self._end(giving, everyone)
            self._gone = True
            await asyncio.wait(watching)
        self._result.seconds = time.monotonic() - began
        await self._audit(breakage, [gift for giver in everyone for gift in giver.gifts])
        return self._result

    def _giver(self, number: int, targets: Sequence[Target], pause: float) -> Giver:
        name = f"probe-{-number}" if number < 0 else f"sender-{number}"
        giver = Giver(name, self._rooms, targets, pause, self._options.seed * 1000 + number)
        giver.told = self._acked
        return giver

    def _acked(self, gift: Gift) -> None:
        self._acks.append((gift.accepted, gift.sent, self._keys.base(gift.user)))

    def _died(self, partitions: Sequence[str]) -> None:
        self._deaths.append((time.monotonic(), frozenset(partitions)))

    # Faults.

    async def _break(self, breakage: Breakage) -> None:
        deck: list[Kind] = []
        await self._recover("start")
        self._result.faults.clear()
        while self._result.total < self._options.faults:
            if not deck:
                deck = self._deal(breakage)
            kind = deck.pop()
            await self._guard()
            began = time.monotonic()
            try:
                await kind.do()
                broke = time.monotonic() - began
                await self._cluster.settle()
            except (GiftingError, OSError) as error:
                self._result.verdict.problems.append(f"{kind.name}: {error}")
                break
            await self._recover(kind.name)
            well = self._result.faults[kind.name][-1]
            self._well.append((time.monotonic(), kind.name))
            self._show(f"{self._result.total:4}  {kind.name}: {broke:.1f} s, well in {well:.1f} s")
            for watcher in self._watchers:
                if self._chance.random() < 0.05:
                    watcher.move()
            await asyncio.sleep(self._chance.uniform(0, 0.2))

    async def _guard(self) -> None:
        """As little as is asked for."""
        for node in self._cluster.nodes.values():
            await node.call("CONFIG", "SET", "min-replicas-to-write", self._options.min_replicas)

    def _deal(self, breakage: Breakage) -> list[Kind]:
        """A round in any order, of those that are wanted."""
        kinds = [kind for kind in breakage.kinds() if self._options.only in kind.name]
        deck = [kind for kind in kinds for _ in range(kind.weight)]
        self._chance.shuffle(deck)
        return deck

    async def _recover(self, name: str) -> None:
        """Until each node has acked a gift that was given after the fault."""
        began = time.monotonic()
        for probe in self._probes:
            while not any(gift.accepted and gift.sent > began for gift in probe.gifts[-50:]):
                if time.monotonic() - began > WELL_WITHIN_S:
                    refused = [gift.refused or "no answer" for gift in probe.gifts[-3:]]
                    text = f"After {name!r} {probe.user} had no ack within {WELL_WITHIN_S:.0f} s: {refused}"
                    self._result.verdict.problems.append(text)
                    break
                await asyncio.sleep(POLL_S)
        self._result.faults.setdefault(name, []).append(time.monotonic() - began)

    # The end.

    async def _end(self, giving: Sequence[asyncio.Task[None]], everyone: Sequence[Giver]) -> None:
        """All is known, all is credited, and every viewer has seen it."""
        _, late = await asyncio.wait(giving, timeout=KNOWN_WITHIN_S)
        for task in late:
            task.cancel()
        if unknown := [gift.key for giver in everyone for gift in giver.gifts if gift.open]:
            self._result.verdict.blame("gifts have no answer", unknown)
        end = time.monotonic() + self._options.patience
        operator = Operator(self._gateways[0].target, "chaos")
        final: dict[str, int] = {}
        while time.monotonic() < end:
            final = await operator.final_seqs(self._rooms)
            if all(watcher.last == final.get(watcher.room) for watcher in self._watchers):
                break
            await asyncio.sleep(0.5)
        while time.monotonic() < end and await self._owed():
            await asyncio.sleep(0.5)
        behind = [
            f"{one.user} at {one.last} of {final.get(one.room)}"
            for one in self._watchers
            if one.last != final.get(one.room)
        ]
        self._result.verdict.blame("viewers never got the last event", behind)

    async def _owed(self) -> int:
        """Gifts that are debited, and not credited yet."""
        books = await read_books(self._cluster, self._keys.bases)
        return len(books.debits.keys() - books.credits.keys())

    async def _audit(self, breakage: Breakage, gifts: Sequence[Gift]) -> None:
        result = self._result
        books = await read_books(self._cluster, self._keys.bases)
        found = judge(gifts, books)
        found.problems = [*result.verdict.problems, *breakage.problems, *found.problems]
        for watcher in self._watchers:
            found.blame("events out of order", watcher.complaints)
            check_seen(found, watcher.room, watcher.seen, books)
        lost = Counter(self._fault_after(gift) for gift in gifts if gift.accepted and gift.id not in books.debits)
        found.problems += [f"{count} of the acked gifts were lost to: {name}" for name, count in lost.items()]
        result.verdict, result.gifts = found, len(gifts)
        for gift in gifts:
            if gift.refused:
                result.refused[gift.refused] = result.refused.get(gift.refused, 0) + 1
        result.events = sum(watcher.events for watcher in self._watchers)
        result.gaps = sum(watcher.gaps for watcher in self._watchers)
        result.fenced = await read_fenced(self._cluster, self._keys.bases)
        result.engine = await _version(self._cluster)
        result.deaths = [took for death in self._deaths if (took := self._first_ack(*death)) is not None]
        if wrong := await prove(self._cluster.url):
            found.problems.append(wrong)
        for number, gateway in enumerate(self._gateways):
            if "Traceback " in (text := gateway.log_text()):
                found.problems.append(f"Node {number} logged {text[text.index('Traceback ') :][:1500]}")

    def _fault_after(self, gift: Gift) -> str:
        """The first that was over after a gift was acked: what took its debit away, if anything did."""
        return next((name for well, name in self._well if well > gift.accepted), "nothing that was done")

    def _first_ack(self, died: float, partitions: frozenset[str]) -> float | None:
        times = [acked - died for acked, sent, base in self._acks if sent > died and base in partitions]
        return min(times, default=None)


def _settings(options: Options) -> dict[str, str]:
    return {
        "GIFTING_PARTITIONS": str(options.partitions),
        "GIFTING_DURABILITY": options.durability,
        "GIFTING_LOG_KEEP": "10000000",
        "GIFTING_KEY_PREFIX": PREFIX,
    }


def _memory() -> str | None:
    """Faults are of processes here, not of disks: what they write may be in memory."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


async def _version(cluster: EmbeddedCluster) -> str:
    info = await next(iter(await cluster.masters())).call("INFO", "server")
    return f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}"
