"""Ledgers that are written by hand, entry by entry, and what finance says of them."""

from __future__ import annotations

from typing import Any

from gifting.archive.finance import replay
from gifting.archive.statements import REPORTS
from gifting.model.packing import pack
from tests.support.sealed import Sealed


class Books(Sealed):
    async def enter(self, at: int, kind: str, *fields: Any, partition: int = 0) -> None:
        """One entry at a time, ms."""
        self.made += 1
        data = pack((kind, at, self.made.to_bytes(16, "big"), *fields))
        await self.redis.xadd(f"{self.keys.bases[partition]}:ledger", {"e": data}, id=f"{at}-{self.made}")

    async def rows(self, name: str, month: int, breakage_after: int = 0) -> list[tuple[str | int, ...]]:
        return REPORTS[name](await replay(self.store, month, breakage_after)).rows
