"""The demo's life: start, show, and an end in order."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import uvloop
from rich.live import Live

from gifting import config
from gifting.client.admin import Admin
from gifting.demo.cast import STAGES, YOU, Stage, Tally, Viewer, play, viewers
from gifting.demo.cluster import Killer, Shards, own_cluster
from gifting.demo.keyboard import keys
from gifting.demo.leftovers import guarded, throwaway_dir
from gifting.demo.purse import Purse
from gifting.demo.screen import Rates, Snapshots, as_line, as_table, looks, open_console, where_to_look
from gifting.errors import BadSetting, GiftingError
from gifting.health import Health
from gifting.node import Node, redis_for
from gifting.running import Running, announced
from gifting.serving import listen
from gifting.signing.secretfile import find_secrets
from gifting.tasks import Vital, end, together
from gifting.web.front import ShortLink
from gifting.wire.tokens import Role, issue

HOST: Final = "127.0.0.1"
COINS: Final = 10
"""What a viewer begins with: enough for a streak; what more it takes is bought."""

YOUR_COINS: Final = 10_000
SOCKETS: Final = 5_000
"""More than the viewers, and no more than most machines let a process open."""

TOKEN_TTL: Final = 86_400.0
REFRESH: Final = 0.5
"""Seconds between two looks at the table."""

LINE_EVERY: Final = 1.0
"""Seconds between two lines, where there is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """``data_dir`` empty: the data is thrown away. ``seconds`` 0: until Ctrl-C. ``cluster``: on one."""

    port: int = 8080
    data_dir: str = ""
    viewers: int = 40
    seconds: float = 0.0
    cluster: bool = False


def run_demo(options: DemoOptions) -> int:
    """Run until Ctrl-C. Returns the exit status. Raises StartError."""
    if options.cluster and options.data_dir:
        raise BadSetting("--cluster shows what becomes of a cluster, and keeps nothing: leave out --data-dir.")
    with ExitStack() as stack:
        data_dir = options.data_dir or stack.enter_context(throwaway_dir())
        settings = config.load(
            {"port": options.port, "data_dir": data_dir, "redis": "", "workers": 1, "host": HOST}
            | {"connections": SOCKETS, "tls_cert": "", "tls_key": "", "root_path": "", "public_url": ""}
            | {"token_issuer": "", "token_audience": "", "confirm_first_gift": False, "archive": "off"}
            | {"providers": "", "prices": "", "regions": "", "catalog": ""}
        )
        listeners = [stack.enter_context(listener) for listener in listen(settings)]
        if options.data_dir:
            stack.enter_context(guarded(str(settings.data_path)))
        uvloop.run(Demo(settings, listeners, options).run())
    return 0


class Demo:
    """A server on ``listeners``, the cast, and the screen."""

    def __init__(self, settings: config.Settings, listeners: Sequence[socket.socket], options: DemoOptions) -> None:
        self._settings = settings
        self._listeners = listeners
        self._options = options
        self._port = listeners[0].getsockname()[1]
        self._url = f"http://{HOST}:{self._port}"
        self._secret = find_secrets(settings)[0]
        self._links = [link for stage in STAGES for link in self._links_of(stage)]
        self._tally = Tally()
        self._console = open_console()
        self._shards: Shards | None = None
        self._killer: Killer | None = None
        self._rooms: Snapshots = {}

    async def run(self) -> None:
        """Until Ctrl-C, or for as long as the options say."""
        vital, ready, interrupted = Vital(Health()), asyncio.Event(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
        self._console.print("Starting Redis and the server …")
        async with AsyncExitStack() as stack:
            settings, url = await self._start_redis(stack, vital)
            node = Node(settings, url, self._listeners, vital, self._links)
            server = asyncio.create_task(node.run(ready.set))
            try:
                await _first(ready.wait(), interrupted.wait(), server)
                with announced(Running.of(self._settings, HOST, self._port)):
                    await _first(self._show(node), interrupted.wait(), server)
            finally:
                await self._mend()
                vital.stop.set()
                await server
        self._console.print("Stopped; nothing is left running.")

    async def _start_redis(self, stack: AsyncExitStack, vital: Vital) -> tuple[config.Settings, str]:
        """What a node is told that runs on it, and where it is, while ``stack`` is open."""
        if not self._options.cluster:
            return self._settings, await stack.enter_async_context(redis_for(self._settings, vital))
        self._shards = await stack.enter_async_context(own_cluster(self._settings.data_path))
        self._tally.heard = self._shards.heard
        url = self._shards.cluster.url
        return replace(self._settings, redis=url, providers="sandbox"), url  # as on a Redis of its own

    def _links_of(self, stage: Stage) -> Iterator[ShortLink]:
        def watch() -> str:
            return f"rooms/{stage.room}#token={self._token(Viewer(YOU, 'You'))}"

        def overlay() -> str:
            return f"overlay#token={self._token(Viewer(stage.host, ''), 'overlay', stage.room)}"

        yield ShortLink(stage.short, stage.title, "watch", "the room, with coins to send gifts", watch)
        yield ShortLink(
            f"{stage.short}-obs", stage.title, "overlay", "its alerts, for a browser source in OBS", overlay
        )

    def _token(self, viewer: Viewer, role: Role = "viewer", room: str = "") -> str:
        return issue(self._secret, viewer.user, role, now=time.time(), ttl=TOKEN_TTL, name=viewer.name, room=room)

    async def _show(self, node: Node) -> None:
        admin = Admin(self._url, self._token(Viewer("demo", ""), "operator"))
        cast = list(viewers(self._options.viewers))
        await self._prepare(admin, cast)
        for line in where_to_look(self._url, self._links):
            self._console.print(line, soft_wrap=True)  # one line each, so that a terminal can open them
        self._console.print()
        works = [*self._play(cast), self._look(admin)]
        with ExitStack() as stack:
            if self._shards is not None:
                bases = {stage.room: node.ledger.keys.base(stage.host) for stage in STAGES}
                self._killer = Killer(self._shards, bases)
                stack.enter_context(keys({"k": self._killer.press}))
                works.append(self._shards.watch(node.ledger.redis, node.ledger.keys))
            await _first(self._report(), together(works))

    def _play(self, cast: Sequence[Viewer]) -> Iterator[Coroutine[Any, Any, None]]:
        for viewer in cast:
            token = self._token(viewer)
            purse = Purse(self._url, viewer.user, token, self._tally.till)
            for stage in STAGES:
                yield play(self._url, token, stage.room, purse, self._tally)

    async def _mend(self) -> None:
        """So that the server can end in order."""
        if self._killer is not None and self._killer.busy:
            self._console.print("Stopping, once the master that was killed is back …")
            await self._killer.end()

    async def _prepare(self, admin: Admin, cast: Sequence[Viewer]) -> None:
        for stage in STAGES:
            await admin.open_room(stage.room, stage.host, stage.title)
        self._rooms = {stage.room: await admin.room(stage.room) for stage in STAGES}
        coins = {viewer.user: COINS for viewer in cast} | {YOU: YOUR_COINS}
        await asyncio.gather(*(admin.grant(user, amount, "for the demo") for user, amount in coins.items()))

    async def _look(self, admin: Admin) -> None:
        """For ever: at the rooms, as fast as the server answers."""
        while True:
            with suppress(GiftingError, OSError, TimeoutError):
                self._rooms = {stage.room: await admin.room(stage.room) for stage in STAGES}
            await asyncio.sleep(REFRESH)

    async def _report(self) -> None:
        """Say how it goes, for ``seconds`` or for ever."""
        rates = Rates()
        shown = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None
        with shown or nullcontext():
            for pause in looks(self._options.seconds, REFRESH if shown else LINE_EVERY):
                await asyncio.sleep(pause)
                self._say(shown, rates.measure(self._tally))

    def _say(self, shown: Live | None, rates: tuple[float, float]) -> None:
        if shown is None:
            print(as_line(self._tally, rates, self._rooms, self._shards), flush=True)
        else:
            shown.update(as_table(self._tally, rates, self._rooms, self._console.width, self._shards))


async def _first(*works: Coroutine[Any, Any, object] | asyncio.Task[Any]) -> None:
    """Wait until one of these has ended; cancel those that were begun here, and raise what one of them raised."""
    begun = [asyncio.create_task(work) for work in works if asyncio.iscoroutine(work)]
    given = [work for work in works if isinstance(work, asyncio.Task)]
    try:
        await asyncio.wait([*begun, *given], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(begun)
    for task in begun:
        if not task.cancelled() and (error := task.exception()):
            raise error
