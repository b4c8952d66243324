"""A sealed archive of ledgers that were written by hand, over several months."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gifting.archive.archiver import Archiver
from gifting.archive.month_end import MonthEnd
from gifting.archive.overlap import Overlap
from gifting.archive.seal_file import SealFile
from gifting.archive.sealing import Sealer
from gifting.archive.signer import find_signer, read_public
from gifting.archive.store import Store
from gifting.archive.verify import Verified, verify
from gifting.model.packing import pack
from gifting.model.periods import starts
from tests.support.keys import session_keys

DAY = 86_400_000
NEVER = 1 << 53


class AtItsWord(MonthEnd):
    """Redis' clock is believed."""

    def passed(self, redis_ms: int, newest: int) -> int:
        return redis_ms


class Sealed:
    """Two partitions, of one of which the tests write most."""

    def __init__(self, redis: Any, store: Store, folder: Path) -> None:
        self.redis, self.store, self.folder = redis, store, folder
        self.keys = session_keys(2)
        self.file = SealFile(folder / "seals.jsonl")
        self.signer = find_signer(folder / "seal.key")
        self.made = 0

    def sealer(self) -> Sealer:
        return Sealer(self.redis, self.keys, self.store, self.signer, self.file, AtItsWord())

    async def add(self, period: int, *entries: tuple[Any, ...], day: int = 3, partition: int = 0) -> str:
        """An item on a day of a month; or right after the last, where that is later."""
        self.made += 1
        at = max(starts(period) + day * DAY, 0)
        made = entries or (("grant", at, self.made.to_bytes(16, "big"), b"ann", 10, b"why", b"op"),)
        data = b"".join(map(pack, made))
        found = await self.redis.xadd(f"{self.keys.bases[partition]}:ledger", {"e": data}, id=f"{at}-{self.made}")
        name: str = found.decode()
        return name

    async def archive(self) -> None:
        archiver = Archiver(self.redis, self.keys, "gifting", self.store)
        while await archiver.round():
            pass

    async def seal(self) -> int:
        await self.archive()
        return await self.sealer().seal_due()

    async def verified(self, *, redis: bool = True, now: int = NEVER) -> Verified:
        public = read_public(self.folder / "seal.key")
        overlap = Overlap(self.redis, self.keys.bases) if redis else None
        return await verify(self.store, public, self.file.read(), overlap, now)

    async def broken(self, *, redis: bool = False) -> list[str]:
        return [str(one) for one in (await self.verified(redis=redis)).broken]
