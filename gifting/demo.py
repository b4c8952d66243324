"""``gifting demo``: a whole evening in one process. A server, two rooms, viewers who send gifts, and a live table."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import uvloop
from rich.console import Console
from rich.live import Live
from rich.table import Table

from gifting import config
from gifting.client import Client
from gifting.errors import GiftingError
from gifting.health import Health
from gifting.keys.secretfile import find_secrets
from gifting.load.latency import Latencies
from gifting.load.mix import Mix
from gifting.load.operator import Operator
from gifting.load.plan import Target
from gifting.model.catalog import load_catalog
from gifting.node import Node, redis_for
from gifting.serving import listen
from gifting.tasks import Vital
from gifting.wire.tokens import issue

ROOMS = {"harbour-lights": ("mara", "Harbour lights, live from the pier"), "late-kitchen": ("jon", "The late kitchen")}
NAMES = ("Ada", "Bo", "Cleo", "Dov", "Eda", "Finn", "Gus", "Hana", "Ivo", "Juno", "Kai", "Lena", "Milo", "Nia", "Otto")
COINS = 200_000
SOCKETS = 5_000
"""More than the viewers, and no more than most machines let a process open."""

TOKEN_TTL = 86_400.0
REFRESH = 0.5
"""Seconds between two looks at the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """``data_dir`` empty: the data is thrown away. ``seconds`` 0: until Ctrl-C."""

    port: int = 8080
    data_dir: str = ""
    viewers: int = 40
    seconds: float = 0.0


@dataclass
class Tally:
    """What has happened so far."""

    gifts: int = 0
    deliveries: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter)
    latency: Latencies = field(default_factory=Latencies)


def run_demo(options: DemoOptions) -> int:
    """Run until Ctrl-C. Returns the exit status."""
    with ExitStack() as stack:
        data_dir = options.data_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix="gifting-demo-"))
        flags = {"port": options.port, "data_dir": data_dir, "redis": "", "workers": 1, "host": "127.0.0.1"}
        flags["connections"] = SOCKETS
        settings = config.load(flags)
        listeners = [stack.enter_context(listener) for listener in listen(settings)]
        uvloop.run(_demo(settings, listeners, options))
    return 0


async def _demo(settings: config.Settings, listeners: list[socket.socket], options: DemoOptions) -> None:
    console = Console()
    vital, ready = Vital(Health()), asyncio.Event()
    stop = vital.stop
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    console.print("starting Redis and the server …")
    async with redis_for(settings, vital) as url, asyncio.TaskGroup() as group:
        server = group.create_task(Node(settings, url, listeners, vital).run(ready.set))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([waiting, server], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        show = asyncio.create_task(_show(settings, listeners[0].getsockname()[1], options, console))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([show, stopping, server], return_when=asyncio.FIRST_COMPLETED)
        show.cancel()
        with suppress(asyncio.CancelledError):
            await show
        stopping.cancel()
        stop.set()
    console.print("stopped; nothing is left running.")


async def _show(settings: config.Settings, port: int, options: DemoOptions, console: Console) -> None:
    url, secret, tally = f"http://127.0.0.1:{port}", find_secrets(settings)[0], Tally()
    operator = Operator(Target.at(url, secret), "demo")
    for room, (host, title) in ROOMS.items():
        await operator.call("POST", "/v1/rooms", {"room": room, "host": host, "title": title})
    users = {f"{name.lower()}-{n}": name for n, name in zip(range(options.viewers), NAMES * 200, strict=False)}
    await operator.grant_each(users, COINS)
    dice = random.Random()  # noqa: S311
    async with asyncio.TaskGroup() as group:
        for room in ROOMS:
            for user, name in users.items():
                group.create_task(_viewer(url, secret, room, user, name, tally, dice))
        await operator.grant_each(["you"], 10_000)
        _print_links(console, url, secret)
        with Live(console=console, refresh_per_second=4) as live:
            await _draw(live, operator, tally, options.seconds)
        raise asyncio.CancelledError


async def _viewer(url: str, secret: str, room: str, user: str, name: str, tally: Tally, dice: random.Random) -> None:
    token = issue(secret, user, "viewer", now=time.time(), ttl=TOKEN_TTL, name=name, level=dice.randint(1, 40))
    mix = Mix(load_catalog(), dice)
    await asyncio.sleep(dice.uniform(0, 2))
    async with Client(url, token) as client:
        await client.join(room, lane="all" if dice.random() < 0.1 else "live")
        listening = asyncio.create_task(_listen(client, tally))
        try:
            while True:
                await _act(client, room, name, mix, tally, dice)
        finally:
            listening.cancel()


async def _listen(client: Client, tally: Tally) -> None:
    with suppress(GiftingError):
        async for _ in client.events():
            tally.deliveries += 1


async def _act(client: Client, room: str, name: str, mix: Mix, tally: Tally, dice: random.Random) -> None:
    await asyncio.sleep(dice.expovariate(1 / 4))
    try:
        drawn = dice.random()
        if drawn < 0.25:
            await client.like(room, dice.randint(1, 15))
        elif drawn < 0.35:
            await client.comment(room, mix.comment())
        else:
            burst = mix.streak()
            for gap in burst.gaps:
                began = time.perf_counter()
                await client.send_gift(room, burst.gift.id)
                tally.latency.add(int((time.perf_counter() - began) * 1e9))
                tally.gifts += 1
                tally.senders[name] += burst.gift.coins
                await asyncio.sleep(gap)
    except (GiftingError, OSError, TimeoutError) as error:
        tally.errors[getattr(error, "code", type(error).__name__)] += 1


def _print_links(console: Console, url: str, secret: str) -> None:
    """Once, above the table and never broken into lines, so that a terminal can open them."""
    for room, (host, _) in ROOMS.items():
        overlay = issue(secret, host, "overlay", now=time.time(), ttl=TOKEN_TTL, room=room)
        watch = issue(secret, "you", "viewer", now=time.time(), ttl=TOKEN_TTL, name="You")
        for line in (room, f"  overlay  {url}/overlay#token={overlay}", f"  room     {url}/rooms/{room}#token={watch}"):
            console.print(line, soft_wrap=True, markup=False, highlight=False)


async def _draw(live: Live, operator: Operator, tally: Tally, seconds: float) -> None:
    started = time.monotonic()
    last_gifts, last_deliveries, last_at = tally.gifts, tally.deliveries, started
    while not seconds or time.monotonic() - started < seconds:
        await asyncio.sleep(REFRESH)
        now = time.monotonic()
        span = now - last_at
        rates = (tally.gifts - last_gifts) / span, (tally.deliveries - last_deliveries) / span
        last_gifts, last_deliveries, last_at = tally.gifts, tally.deliveries, now
        viewers = [(await operator.room(room))["viewers"] for room in ROOMS]
        live.update(_table(tally, rates, viewers))


def _table(tally: Tally, rates: tuple[float, float], viewers: list[int]) -> Table:
    top = ", ".join(f"{name} {coins:,}" for name, coins in tally.senders.most_common(3))
    table = Table(title="gifting demo · Ctrl-C stops it", caption=f"top senders: {top or 'nobody yet'}")
    for name in ("gifts/s", "deliveries/s", "p50 ms", "p99 ms", "viewers", "gifts", "errors"):
        table.add_column(name, justify="right")
    p50, p99 = map(tally.latency.percentile, (50, 99))
    table.add_row(
        *(f"{rates[0]:.0f}", f"{rates[1]:.0f}", f"{p50:.1f}", f"{p99:.1f}", " + ".join(map(str, viewers))),
        *(str(tally.gifts), str(dict(tally.errors)) if tally.errors else "none"),
    )
    return table
