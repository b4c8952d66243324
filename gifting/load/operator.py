"""The few HTTP calls that set a load up: rooms, coins, wallets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable
from typing import Final

from gifting.client.admin import Admin
from gifting.load.plan import TOKEN_TTL, Target
from gifting.wire.tokens import issue

SETTLE_WITHIN_S: Final = 20.0
"""How long streaks may take to end after the last gift."""

POLL_S: Final = 0.2


class Operator(Admin):
    """An operator of the server under load, for many rooms and users at a time."""

    def __init__(self, target: Target, user: str = "bench") -> None:
        token = issue(target.secret, user, "operator", now=time.time(), ttl=TOKEN_TTL)
        super().__init__(f"http://{target.host}:{target.port}", token)

    async def open_rooms(self, rooms: Iterable[str]) -> None:
        """Open each room; room ``r`` is hosted by ``host-r``."""
        await asyncio.gather(*(self.open_room(room, f"host-{room}", f"Room {room}") for room in rooms))

    async def grant_each(self, users: Iterable[str], coins: int) -> None:
        """Give each user ``coins``."""
        await asyncio.gather(*(self.grant(user, coins, "load test") for user in users))

    async def wallets(self, users: Iterable[str]) -> dict[str, int]:
        """Coins of each user."""
        names = list(users)
        found = await asyncio.gather(*map(self.wallet, names))
        return {user: int(wallet["coins"]) for user, wallet in zip(names, found, strict=True)}

    async def final_seqs(self, rooms: Collection[str]) -> dict[str, int]:
        """The seq of every room once its streaks have ended."""
        end = time.monotonic() + SETTLE_WITHIN_S
        final: dict[str, int] = {}
        while len(final) < len(rooms) and time.monotonic() < end:
            for room in rooms:
                if room not in final:
                    snapshot = await self.room(room)
                    if not snapshot["streaks"]:
                        final[room] = snapshot["seq"]
            await asyncio.sleep(POLL_S)
        return final
