"""Buyers who press quickly on two nodes, and strangers who send webhooks without end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import errors
from tests.integration.economy.test_purchases import Shop, begin, paid_event
from tests.support.server import Server

pytestmark = [pytest.mark.attack, pytest.mark.slow]


@pytest.fixture
async def shops(tmp_path: Path, redis_url: str, redis_client: Redis) -> AsyncIterator[tuple[Shop, Shop]]:
    """Two nodes on one Redis."""
    flags: dict[str, Any] = {"providers": "sandbox", "message_rate": 10_000, "message_burst": 10_000}
    async with (
        Server(tmp_path / "one", redis_url, **flags) as one,
        Server(tmp_path / "two", redis_url, **flags) as two,
    ):
        yield Shop(one, redis_client), Shop(two, redis_client)


async def press(shops: tuple[Shop, Shop], times: int) -> Counter[str]:
    """Begin a purchase of 70 coins, again and again on both nodes at once; how each ended."""
    buyers = [shop.server.caller("ann", "viewer", region="DE", age=30) for shop in shops]

    async def once(number: int) -> str:
        try:
            return str((await begin(buyers[number % 2], package="coins-70"))["state"])
        except errors.GiftingError as error:
            return error.code

    return Counter(await asyncio.gather(*map(once, range(times))))


async def test_fifty_purchases_at_once_on_two_nodes_never_pass_a_limit(shops: tuple[Shop, Shop]) -> None:
    buyer = await shops[0].buyer()
    await buyer.call("PUT", "/v1/users/ann/limits", {"purchases": {"h24": 500}})
    found = await press(shops, 50)
    assert found == {"created": 7, "purchase_limit": 43}, "7 × 70 is 490"
    orders = (await buyer.call("GET", "/v1/purchases"))["purchases"]
    assert sum(order["coins"] for order in orders) == 490


async def test_a_limit_that_is_lowered_meanwhile_holds_from_its_reply_on(shops: tuple[Shop, Shop]) -> None:
    buyer = await shops[0].buyer()
    pressing = asyncio.create_task(press(shops, 15))
    while not (await buyer.call("GET", "/v1/purchases"))["purchases"]:
        await asyncio.sleep(0)
    await buyer.call("PUT", "/v1/users/ann/limits", {"purchases": {"h24": 70}})
    then = len((await buyer.call("GET", "/v1/purchases"))["purchases"])
    found = await pressing
    assert await press(shops, 15) == {"purchase_limit": 15}
    assert found["created"] == len((await buyer.call("GET", "/v1/purchases"))["purchases"]) == then
    assert found.keys() <= {"created", "purchase_limit"}


async def test_a_flood_of_webhooks_is_stopped_before_it_is_read(
    tmp_path: Path, redis_url: str, redis_client: Redis
) -> None:
    flags: dict[str, Any] = {"providers": "sandbox", "message_rate": 1, "message_burst": 20}
    async with Server(tmp_path / "data", redis_url, **flags) as server:
        shop = Shop(server, redis_client)
        order = {"id": "0198c0de-0000-7000-8000-000000000000", "created": 1, "price": 1, "currency": "EUR"}
        sent = [shop.webhook(paid_event(order), secret="whsec_guessed") for _ in range(60)]
        answers = Counter(answer["code"] for _, answer in await asyncio.gather(*sent))
        assert answers["rate_limited"] >= 30 and answers.keys() == {"rate_limited", "bad_webhook"}
