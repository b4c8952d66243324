"""Whether a node works: it says so, and it takes money, each of its grants once."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

from gifting.bench.server import Server
from gifting.errors import GiftingError, KeyExpired, KeyInFuture
from gifting.load.operator import Operator
from gifting.model.money import make_key

WELL_WITHIN_S: Final = 30.0
"""Longest time from the end of a fault until a node works again, seconds."""

ANSWER_WITHIN_S: Final = 5.0
"""Longest wait for one answer; then it is asked again."""

AGAIN_AFTER_S: Final = 0.02


class Probe:
    """Grants ``user`` a coin through one node, after each fault; ``granted`` says how many."""

    def __init__(self, node: Server, user: str) -> None:
        self._operator = Operator(node.target, "probe")
        self.user = user
        self.granted = 0

    async def wait_until_well(self) -> str:
        """Ready, and a grant is acknowledged, which proves ledger and disk. What is wrong if that takes too long."""
        end, key = time.monotonic() + WELL_WITHIN_S, _new_key()
        last = "never asked"
        while time.monotonic() < end:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await self._grant(key)
                    await self._operator.call("GET", "/readyz")
            except (KeyExpired, KeyInFuture):
                key = _new_key()
            except (GiftingError, OSError, TimeoutError, ValueError, IndexError) as error:
                last = str(error) or repr(error)
            else:
                self.granted += 1
                return ""
            await asyncio.sleep(AGAIN_AFTER_S)
        return f"a node did not work again within {WELL_WITHIN_S:.0f} s: {last}"

    async def _grant(self, key: str) -> None:
        await self._operator.call("POST", f"/v1/users/{self.user}/grants", {"coins": 1, "key": key, "reason": "probe"})

    async def problem(self) -> str:
        """Whether the wallet has what was granted, '' if so."""
        coins = (await self._operator.wallets([self.user]))[self.user]
        return "" if coins == self.granted else f"{self.user} has {coins} coins of {self.granted} grants of one."


def _new_key() -> str:
    return make_key(time.time_ns() // 1_000_000, os.urandom(10))
