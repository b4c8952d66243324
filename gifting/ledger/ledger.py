"""The ledger: everything that can be done to money, each as one call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from gifting import errors
from gifting.config import Settings
from gifting.health import Health
from gifting.ledger.accounts import Accounts
from gifting.ledger.acts import Acts
from gifting.ledger.bans import Bans
from gifting.ledger.calls import REDIS_ERRORS, Calls, translated
from gifting.ledger.cases import Cases
from gifting.ledger.comments import Comments
from gifting.ledger.connector import Connector
from gifting.ledger.creators import Creators
from gifting.ledger.deliveries import Deliveries
from gifting.ledger.engine import OneRedis, open_engine
from gifting.ledger.erasures import Erasures
from gifting.ledger.free_events import FreeEvents
from gifting.ledger.gifts import Gifts
from gifting.ledger.halt import Halt
from gifting.ledger.held import Held
from gifting.ledger.lookup import Lookup
from gifting.ledger.meta import Meta
from gifting.ledger.notices import Notices
from gifting.ledger.orders import Orders
from gifting.ledger.overlays import Overlays
from gifting.ledger.payouts import Payouts
from gifting.ledger.people import People
from gifting.ledger.promotions import Promotions
from gifting.ledger.protections import Protections
from gifting.ledger.refunds import Refunds
from gifting.ledger.reports import Reports
from gifting.ledger.reversals import Reversals
from gifting.ledger.revocations import Revocations
from gifting.ledger.rooms import Rooms
from gifting.ledger.sandbox import SandboxBooks
from gifting.ledger.spending import SpendingReader
from gifting.ledger.sweep import Sweeper
from gifting.ledger.upkeep import Upkeep
from gifting.ledger.wallets import Wallets
from gifting.ledger.wards import Wards
from gifting.model.catalog import Catalog
from gifting.model.creators import Creators as CreatorTerms
from gifting.model.money import MAX_AMOUNT, effective_rate
from gifting.tasks import Vital, end
from gifting.wire.messages import MAX_COUNT


class Ledger:
    """One process' way to the books in Redis at ``url``; ``now`` as :class:`Calls` takes it.

    What can be done is in its parts: ``gifts``, ``free`` (events that cost nothing), ``rooms``, ``people``,
    ``comments``, ``wallets``, ``accounts``, ``creators``, ``protections``, ``notices``, ``wards``, ``spending``,
    ``promotions``, ``orders``, ``refunds``, ``reversals``, ``overlays``, ``revocations``, ``sandbox``, ``deliveries``
    and ``sweeper``. ``vital`` keeps its tasks, and its health is told what keeps it from serving; ``monotonic`` is the
    process' own clock, in seconds.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        catalog: Catalog,
        now: Callable[[], str] = str,
        vital: Vital | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        vital = vital or Vital(Health())
        self.settings = settings
        self.catalog = catalog
        self._vital = vital
        self._connecting: asyncio.Task[None] | None = None
        self.engine = open_engine(url, settings)
        self.keys = keys = self.engine.keys
        self.redis = self.engine.redis
        self.halt = Halt(self.redis, keys.meta, vital.health, self._halted)
        self.meta = Meta(self.redis, keys.meta, settings)
        self.lookup = Lookup(self.redis, keys, settings, self.meta)
        self.upkeep = Upkeep(self.redis, keys, settings, vital.health, self.meta, self.lookup, now, monotonic)
        calls = Calls(self.redis, keys, self.halt, now, self.engine.forget)
        self.rooms = Rooms(calls, settings)
        self.people = People(calls)
        self.reports = Reports(calls)
        self.cases = Cases(calls)
        self.held = Held(calls, settings.log_keep)
        self.comments = Comments(calls, self.rooms, settings.log_keep)
        self.wallets = Wallets(calls, settings)
        self.accounts = Accounts(calls)
        self.creators = Creators(calls, lambda: int(now() or self.now_ms()), self.upkeep.span_ms)
        self.bans = Bans(calls, self.accounts)
        self.protections = Protections(self.accounts, lambda: int(now() or self.now_ms()))
        self.notices = Notices(calls, self.protections)
        self.wards = Wards(calls, self.accounts, self.protections)
        self.spending = SpendingReader(calls)
        self.sweeper = Sweeper(calls, settings)
        self.promotions = Promotions(calls)
        self.orders = Orders(calls, self.promotions)
        self.refunds = Refunds(calls)
        self.reversals = Reversals(calls, settings)
        self.payouts = Payouts(calls)
        self.overlays = Overlays(calls, settings.room_overlay_tokens)
        self.sandbox = SandboxBooks(calls)
        self.deliveries = Deliveries(calls)
        self.erasures = Erasures(calls)
        self.acts = Acts(calls)
        self.revocations = Revocations(calls, settings.token_ttl_max)
        self.batcher = self.engine.batcher(now, self.halt.pull)
        self.engine.know(self.lookup, self.rooms)
        self.gifts = Gifts(self.batcher, keys, catalog, self.lookup, lambda: self.meta.salt)
        self.free = FreeEvents(self.batcher, settings.like_interval)

    @property
    def connector(self) -> Connector:
        """The connection to one Redis."""
        assert isinstance(self.engine, OneRedis)
        return self.engine.connector

    async def start(self) -> None:
        """Check that Redis, its data and the catalog fit the settings, and begin to take gifts.

        Raises:
            NoRedis: it can't be reached.
            BadSetting: the data has other shared settings, a gift is too dear for the diamond rate, or Redis is set up
                to lose acknowledged gifts.
        """
        self.check_rate(self.catalog)
        try:
            await self.engine.require(self._vital.health)
            await self.meta.agree()
            await self.engine.bear()
            await self.halt.look()
            await self.upkeep.round()
        except REDIS_ERRORS as error:
            raise errors.NoRedis(f"Redis can't be used: {str(error).rstrip('.')}.") from None
        await self.revocations.sync()  # no revoked token is let in, from the first
        await self.bans.sync()
        self._connecting = self._vital.start(
            "ledger: connection", self.engine.run(self._vital.health), self.batcher.fall
        )

    def check_rate(self, catalog: Catalog) -> None:
        """The script computes coins × numerator + remainder, which must stay exact for the dearest send.

        Raises:
            BadSetting: of this catalog it would not.
        """
        self._check_commission(catalog, 0)

    def check_commissions(self, catalog: Catalog, creators: CreatorTerms) -> None:
        """Likewise for the rate that the commission of each tier leaves. Raises BadSetting."""
        for tier in creators:
            self._check_commission(catalog, tier.commission)

    def _check_commission(self, catalog: Catalog, commission: int) -> None:
        numerator, denominator = effective_rate(self.settings.diamond_rate(), commission)
        dearest = max(gift.coins for gift in catalog) * MAX_COUNT
        if dearest * numerator + denominator > MAX_AMOUNT:
            less = f" less a commission of {commission} basis points" if commission else ""
            raise errors.BadSetting(
                f"diamonds_per_coin is {self.settings.diamonds_per_coin}{less}: with {dearest} coins in one send that "
                "is no longer exact. Use a simpler fraction."
            )

    def use_creators(self, creators: CreatorTerms) -> None:
        """Take the first tier's commission off from now on for hosts whom nobody has put into one."""
        self.batcher.use_commission(creators.usual.commission)

    def use_catalog(self, catalog: Catalog) -> None:
        """Sell these gifts from now on. What was packed before costs what it did then."""
        self.catalog = catalog
        self.gifts.use_catalog(catalog)

    def _halted(self) -> None:
        self.batcher.close(errors.LedgerHalted)

    async def maintain(self) -> None:
        """One round of :class:`Upkeep`. Raises Unavailable."""
        with translated():
            await self.upkeep.round()

    def now_ms(self) -> int:
        """Redis' time, by which keys are judged, without asking it."""
        return self.upkeep.clock.now_ms()

    async def flush(self, timeout: float) -> None:
        """Finish what is queued, for ``timeout`` seconds at most."""
        self.free.flush()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.batcher.drain(), timeout)

    async def stop(self) -> None:
        """Let go of Redis. What is still queued is told that it was not sent."""
        self.batcher.fall()
        if self._connecting is not None:
            await end([self._connecting])
        await self.halt.end()
        await self.engine.close()
