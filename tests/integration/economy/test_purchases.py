"""A purchase from its key to the coins, by HTTP alone: a real server, the sandbox, its webhooks over the network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting.client.admin import Admin
from gifting.economy.providers.sandbox.cards import CARDS, Fate
from gifting.ledger.keys import Keys
from gifting.model.protection import Protection, write_protection
from tests.support.keys import new_key
from tests.support.server import Server

NUMBERS = {card.fate: card.number for card in CARDS}


async def until(check: Any, within: float = 10.0) -> Any:
    """What ``check`` gives once that is true."""
    end = time.monotonic() + within
    while not (found := await check()):
        assert time.monotonic() < end, "it did not come"
        await asyncio.sleep(0.02)
    return found


class Shop:
    """A server with play money, and buyers from Germany who have been asked for limits."""

    def __init__(self, server: Server, redis: Redis) -> None:
        self.server = server
        self.redis = redis

    async def buyer(self, user: str = "ann", region: str = "DE", age: int = 30) -> Admin:
        key = f"{Keys('gifting', 16).base(user)}:accounts"
        await self.redis.hset(key, user, write_protection(Protection(asked=1)))
        return self.server.caller(user, "viewer", region=region, age=age)

    async def wallet(self, user: str = "ann") -> int:
        return (await self.server.operator.wallets([user]))[user]


async def begin(buyer: Admin, key: str = "", **more: Any) -> Any:
    body = {"package": "coins-350", "provider": "sandbox", "key": key or new_key(), **more}
    return await buyer.call("POST", "/v1/purchases", body)


async def pay(buyer: Admin, order: dict[str, Any], fate: Fate = Fate.PAYS) -> Any:
    checkout = order["url"].rpartition("/")[2]
    return await buyer.call("POST", f"/v1/sandbox/checkouts/{checkout}/pay", {"card": NUMBERS[fate]})


async def reaches(buyer: Admin, order: dict[str, Any], state: str) -> Any:
    async def there() -> Any:
        found = await buyer.call("GET", f"/v1/purchases/{order['id']}")
        return found if found["state"] == state else None

    return await until(there)


@pytest.fixture
async def shop(tmp_path: Path, redis_url: str, redis_client: Redis) -> AsyncIterator[Shop]:
    async with Server(tmp_path / "data", redis_url, providers="sandbox", sandbox_delay=0.3) as server:
        yield Shop(server, redis_client)


async def test_from_the_key_to_the_coins(shop: Shop) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    assert order["state"] == "created" and order["url"].startswith(shop.server.url)
    assert (await pay(buyer, order))["status"] == "paid"
    paid = await reaches(buyer, order, "paid")
    assert await shop.wallet() == paid["coins"] + paid["bonus"] > 0
    assert paid["url"] == ""
