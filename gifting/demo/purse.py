"""How viewers of the demo come to coins: they buy in the sandbox, by the HTTP API and its webhooks as anybody would."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from gifting.client.admin import Admin
from gifting.errors import LimitsUnasked, ProviderFailed
from gifting.model.money import make_key

REGION: Final = "US"
PAYS, DECLINED, ASKS = "4242424242424242", "4000000000000002", "4000002760003184"
CARDS: Final = (PAYS, PAYS, PAYS, ASKS, DECLINED)
"""What a viewer pays with at first: most cards pay, some ask the buyer (3-D Secure), some are declined."""

LIKELY: Final = 3
"""Packages, the smallest that will do, among which a viewer chooses."""

PAID_WITHIN: Final = 20.0
"""Seconds in which the coins of a purchase must be there."""

LOOK_EVERY: Final = 0.2


@dataclass
class Till:
    """What has been bought; ``money`` in minor units, by currency."""

    purchases: int = 0
    coins: int = 0
    money: Counter[str] = field(default_factory=Counter)


class Purse:
    """One viewer's, in whichever rooms the viewer is. ``token`` is the viewer's."""

    def __init__(self, url: str, user: str, token: str, till: Till) -> None:
        self._api = Admin(url, token)
        self._user = user
        self._till = till
        self._buying = asyncio.Lock()

    async def fill(self, coins: int) -> None:
        """Have so many coins, and buy if there are fewer. Raises GiftingError, OSError, TimeoutError."""
        async with self._buying, asyncio.timeout(PAID_WITHIN):
            if (await self._api.wallet(self._user))["coins"] >= coins:
                return
            order = await self._begin(await self._choose(coins))
            await self._pay(order["url"].rpartition("/")[2])
            while order["state"] != "paid":
                await asyncio.sleep(LOOK_EVERY)
                order = await self._api.call("GET", f"/v1/purchases/{order['id']}")
            self._enter(order)

    async def _choose(self, coins: int) -> str:
        """One of the smaller packages that will do; the largest, if none does."""
        packages = (await self._api.call("GET", f"/v1/packages?region={REGION}"))["packages"]
        enough = [one for one in packages if one["coins"] >= coins] or packages[-1:]
        return str(random.choice(enough[:LIKELY])["id"])  # noqa: S311

    async def _begin(self, package: str) -> dict[str, Any]:
        """Who buys for the first time is asked for a limit, and wants none."""
        key = make_key(time.time_ns() // 1_000_000, os.urandom(10))
        body = {"key": key, "provider": "sandbox", "package": package}
        try:
            order = await self._api.call("POST", "/v1/purchases", body)
        except LimitsUnasked:
            await self._api.call("PUT", f"/v1/users/{self._user}/limits", {"purchases": {"d30": None}})
            order = await self._api.call("POST", "/v1/purchases", body)
        return dict(order)

    async def _pay(self, checkout: str) -> None:
        """With a card, and with another where that is declined."""
        path = f"/v1/sandbox/checkouts/{checkout}"
        for card in (random.choice(CARDS), PAYS):  # noqa: S311
            shown = await self._api.call("POST", f"{path}/pay", {"card": card})
            if shown["status"] == "confirm":
                shown = await self._api.call("POST", f"{path}/confirm", {"approved": True})
            if shown["status"] == "paid":
                return
        raise ProviderFailed(str(shown["refused"]))

    def _enter(self, order: dict[str, Any]) -> None:
        self._till.purchases += 1
        self._till.coins += order["coins"] + order["bonus"]
        self._till.money[order["currency"]] += order["price"]
