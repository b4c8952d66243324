"""One server process: wires ledger, feed, hub and API together, and owns their life from start to drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from gifting.api.app import make_app, make_metrics_app
from gifting.api.metrics import Parts, make_registry
from gifting.api.services import Services
from gifting.archive.gifts import find_gift
from gifting.archive.reading import Archive
from gifting.config import Settings
from gifting.economy.economy import PLAY_MONEY, Economy
from gifting.economy.providers.sandbox.sender import Address
from gifting.errors import BadCatalog, BadSetting, GiftingError, LedgerHalted
from gifting.files import count_open, raise_limit
from gifting.hub.hub import Hub
from gifting.ledger.cluster.feed import ClusterFeed
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.ledger import Ledger
from gifting.ledger.notices import read_notice
from gifting.ledger.upkeep import PERIOD
from gifting.model.packing import unpack
from gifting.rulebook import Rulebook, Rules
from gifting.running import address, reached_by
from gifting.serving import Server, all_started, client_server, metrics_server
from gifting.signing.keeper import KeyKeeper
from gifting.tasks import Vital, end
from gifting.transport.connection import Connection
from gifting.transport.gateway import Gateway
from gifting.transport.upgrade import UpgradeProtocol
from gifting.web.front import ShortLink

log = logging.getLogger(__name__)

SOCKETS_WITHIN = 0.5
"""Seconds that sockets have for their close frames where the rest of a drain has taken all of its time."""

SWEEP_RETRY = 0.5
"""Seconds until the next sweep after one that failed."""

HALTED_PAUSE = 60.0
"""Seconds until the next sweep while the ledger is halted, as it is until the node is started again."""

GC_THRESHOLDS = (50_000, 50, 100)
"""Allocations between collections: with many connections the default spends much time on objects that stay."""


@asynccontextmanager
async def redis_for(settings: Settings, vital: Vital) -> AsyncIterator[str]:
    """The URL of the Redis to use: the one that is given, else a private one while the context lasts."""
    if settings.redis:
        yield settings.redis
        return
    embedded = EmbeddedRedis(settings.data_path, maxmemory=settings.maxmemory, vital=vital)
    try:
        yield await embedded.start()
    finally:
        await embedded.stop()


class Node:
    """One process on the Redis at ``url``, behind ``listeners`` (of ``serving.listen``); ``vital`` ends it.

    ``links`` are a demo's. ``tell_others`` is as :class:`Rulebook` takes it.
    """

    def __init__(
        self,
        settings: Settings,
        url: str,
        listeners: Sequence[socket.socket],
        vital: Vital,
        links: Sequence[ShortLink] = (),
        tell_others: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._files = raise_limit()
        self.name = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._listeners = listeners
        self._links = links
        self.vital = vital
        self.health = vital.health
        self.rulebook = Rulebook(settings, tell_others)
        self.ledger = Ledger(url, settings, self.rulebook.rules.catalog, vital=self.vital)
        self.ledger.check_commissions(self.rulebook.rules.catalog, self.rulebook.rules.creators)
        self.ledger.use_creators(self.rulebook.rules.creators)
        self.rulebook.follow(self._use_rules, self._check_rules)
        self.keeper = KeyKeeper(settings, self.health)
        self.hub = Hub(self.ledger.rooms, settings, self.name)
        self.gateway = Gateway(self.ledger, self.hub, settings, self.keeper.keyring(), self.rulebook)
        self.keeper.changed = self.gateway.rekey
        self.archive = Archive(settings.archive_url())
        self.ledger.lookup.older = older = partial(find_gift, self.archive, self.ledger.keys)
        self.economy = Economy(self.ledger, settings, self.rulebook, lambda: self.keeper.secrets, older)
        beside = {
            self.ledger.keys.balances: lambda told: self.gateway.wallets.changed(*unpack(told)),
            self.ledger.keys.notices: lambda told: self.gateway.heard(read_notice(told)),
        }
        self.feed = self.ledger.engine.feed(self.name, self.hub.receive, self.hub.resync, beside)
        if isinstance(self.feed, ClusterFeed):
            self.hub.source = self.feed
        self.health.check("feed", lambda: "" if self.feed.healthy else "No events are heard from Redis.")

    def _use_rules(self, rules: Rules) -> None:
        self.ledger.use_catalog(rules.catalog)
        self.ledger.use_creators(rules.creators)

    def _check_rules(self, rules: Rules) -> None:
        """Raises BadCatalog."""
        try:
            self.ledger.check_rate(rules.catalog)
            self.ledger.check_commissions(rules.catalog, rules.creators)
        except BadSetting as error:
            raise BadCatalog(error.detail) from None

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until the process should end, then drain. ``ready`` is called when clients may come.

        Raises:
            StartError: it can't start with these settings or on this data.
            ServerFailed: a task that must not end has ended.
        """
        regular: list[asyncio.Task[None]] = []
        try:
            await self.ledger.start()
            if self.economy.sandbox is not None and not self._links:  # a demo says it in words of its own
                log.warning(PLAY_MONEY)
            regular += [self.vital.start(name, work) for name, work in self._regular_work().items()]
            await self.vital.until(self.feed.ready())
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            await self._serve(ready)
        finally:
            await end(regular)
            await self._stop()
        self.vital.check()

    def _regular_work(self) -> dict[str, Coroutine[Any, Any, None]]:
        works = {
            "feed": self.feed.run(),
            "watch": self.gateway.watch(),
            "rooms": self.hub.tidy(),
            "key files": self.keeper.watch(),
            "jwks": self.keeper.refresh(),
            "viewers": self.hub.count_viewers(),
            "lobby": self.gateway.lobby.watch(self.health),
            "sweep": self._sweep(),
            "upkeep": self._maintain(),
            "halt": self.ledger.halt.watch(),
            "reload": self.rulebook.watch(self.vital.reload),
        }
        host, port = self._listeners[0].getsockname()[:2]
        own = Address(address(self.settings, reached_by(host), port), self.settings.tls_cert)
        works |= self.economy.works(own)
        works["safety"] = self.ledger.engine.watch(self.health)
        return works

    async def _serve(self, ready: Callable[[], None]) -> None:
        servers = tuple(self._servers())
        serving = [self.vital.start("serve", server.run_on_listener()) for server in servers]
        if await all_started(servers, serving):
            self.gateway.lobby.fit(self._files, count_open())
            ready()
        await self.vital.stop.wait()
        for server in servers:
            server.should_exit = True
        await self._drain(serving)

    async def _drain(self, serving: Sequence[asyncio.Task[None]]) -> None:
        """Within the drain time-out in all: what waits for a Redis that does not answer waits but once."""
        loop = asyncio.get_running_loop()
        by = loop.time() + self.settings.drain_timeout
        await asyncio.gather(asyncio.wait(serving), self.ledger.flush(self.settings.drain_timeout))
        await self.ledger.flush(max(0.0, by - loop.time()))
        await self.gateway.drain(max(SOCKETS_WITHIN, by - loop.time()))

    def _servers(self) -> Iterator[Server]:
        parts = Parts(self.ledger, self.hub, self.gateway, self.feed, self.keeper, self.economy)
        registry = make_registry(parts, self.settings.node_name())
        services = Services(
            self.settings,
            self.ledger,
            self.gateway,
            self.health,
            registry,
            self.rulebook,
            self.economy,
            self.archive,
            self._links,
        )
        protocol = partial(UpgradeProtocol, self.gateway.lobby, partial(Connection, self.gateway))
        yield client_server(make_app(services), protocol, self.settings, self._listeners[0])
        for listener in self._listeners[1:]:
            yield metrics_server(make_metrics_app(services), self.settings, listener)

    async def _sweep(self) -> None:
        """For ever: end streaks as their time comes. Every node does; each streak ends once."""
        while True:
            try:
                _, wait = await self.ledger.sweeper.sweep()
            except LedgerHalted:
                wait = HALTED_PAUSE
            except GiftingError as error:
                log.warning("can't end streaks: %s", error)
                wait = SWEEP_RETRY
            await asyncio.sleep(wait)

    async def _maintain(self) -> None:
        """For ever: the ledger's upkeep. Every node does it."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.ledger.maintain()
            except GiftingError as error:
                log.warning("can't do the ledger's upkeep: %s", error)

    async def _stop(self) -> None:
        await self.gateway.stop()
        await self.hub.stop()
        await self.economy.close()
        await self.archive.close()
        await self.ledger.stop()
