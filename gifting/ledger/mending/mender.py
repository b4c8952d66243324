"""Credits what is missing between partitions, by the calls that credit everything else.

A blob that is made anew has the number of that which is lost, so it is credited once, whoever else does the same: after
a run that ended anywhere the next one goes on, and beside relays and gifts nothing is in the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from gifting.config import Settings
from gifting.errors import Unmendable
from gifting.health import Health
from gifting.ledger.audit.find import find_books
from gifting.ledger.cluster.credit_call import Blob, read_blob
from gifting.ledger.cluster.debit_call import Completion, Riding
from gifting.ledger.cluster.helper import BLOBS_MAX, DONE
from gifting.ledger.cluster.owed import completions
from gifting.ledger.cluster.said import Said
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.engine import ClusterEngine
from gifting.ledger.entries import Debit
from gifting.ledger.halt import Halt
from gifting.ledger.keys import BUCKET_MS, Keys
from gifting.ledger.mending.blob import Face, Maker
from gifting.ledger.mending.finding import Finder
from gifting.ledger.mending.gaps import Gap
from gifting.ledger.meta import Meta
from gifting.model.catalog import Catalog
from gifting.model.money import key_time
from gifting.tasks import end

PLACE: Final = "The cluster"
"""As an error names what has no books."""


class Mender:
    """``find``, as :meth:`Finder.find`, and then :meth:`mend` what it has found."""

    def __init__(self, redis: BinaryRedis, keys: Keys, said: Said, maker: Maker) -> None:
        self.redis = redis
        self.keys = keys
        self._said = said
        self._maker = maker
        self.find = Finder(redis, keys, said).find

    async def mend(self, gap: Gap) -> int:
        """Credit all that is missing between two partitions; returns how many gifts were credited by this.

        Raises:
            Unmendable: the destination has gone back meanwhile.
            RedisError, OSError: what is done until then is done; it may be done again.
        """
        numbers, credited = list(range(gap.footing + 1, gap.last + 1)), 0
        for at in range(0, len(numbers), BLOBS_MAX):
            blobs = [await self._blob(gap, number) for number in numbers[at : at + BLOBS_MAX]]
            credited += await self._credit(gap, blobs)
        return credited

    async def _blob(self, gap: Gap, number: int) -> Blob:
        """That of the outbox, where it has it."""
        kept = gap.outbox.get(number)
        if kept is not None:
            return read_blob(kept.raw)
        gifts = gap.found[number]
        faces = await self._faces(self.keys.bases[gap.source], gifts)
        made = self._maker.blob(gap.source, number, gap.epochs(number), zip(gifts, faces, strict=True))
        return read_blob(made)

    async def _faces(self, base: str, gifts: Sequence[Debit]) -> list[Face]:
        pipe: Any = self.redis.pipeline(transaction=False)
        for debit in gifts:
            room = self.keys.room(debit.host, debit.room)
            pipe.hget(f"{base}:keys:{key_time(debit.key) // BUCKET_MS}", debit.key)
            pipe.hget(room, "host_name").hget(f"{room}/users", debit.user)
        found = [value or b"" for value in await pipe.execute()]
        return [Face(*found[at : at + 3]) for at in range(0, len(found), 3)]

    async def _credit(self, gap: Gap, blobs: Sequence[Blob]) -> int:
        """And tell the source what is known of its gifts now."""
        base, epoch = self.keys.bases[gap.source], 0
        known: list[Completion] = []
        for blob, told in zip(blobs, (await self._said.credit(gap.destination, blobs)).told, strict=True):
            if told.how not in DONE:
                name = self.keys.bases[gap.destination]
                raise Unmendable(f"{name} is at number {told.seq} of {base} now: another run begins there.")
            epoch = told.epoch
            if told.results is not None:
                known += completions(base, blob, told.results)
        await self._said.debit(gap.source, Riding({gap.destination: epoch}, completions=known))
        return len(known)


@asynccontextmanager
async def mender(url: str, settings: Settings, catalog: Catalog, commission: int) -> AsyncIterator[Mender]:
    """Of the books on the cluster at ``url``, with the settings that its servers have; ``commission``, in basis points,
    of hosts who have none of their own.

    Raises:
        BadSetting: it is no cluster, has no books, or settings that must be alike are not.
        UnfitCluster: not every promise would hold there.
        LedgerHalted
        RedisError, OSError
    """
    engine = ClusterEngine(url, settings)
    health = Health()
    halt = Halt(engine.redis, engine.keys.meta, health, lambda: None)
    running = None
    try:
        await find_books(engine.redis, settings.key_prefix, PLACE)
        await engine.require(health)
        meta = Meta(engine.redis, engine.keys.meta, settings)
        await meta.agree()
        await halt.look()
        halt.check()
        engine.batcher(str, halt.pull).use_commission(commission)
        running = asyncio.create_task(engine.links.run())
        yield Mender(engine.redis, engine.keys, engine.said, Maker(meta.salt, catalog))
    finally:
        await end([running] if running is not None else [])
        await halt.end()
        await engine.close()
