"""The stores by HTTP alone: a real server, receipts handed in, notifications that Apple and Google send."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from tests.support.waiting import WITHIN, until

pytest.importorskip("appstoreserverlibrary")
pytest.importorskip("google.auth")

from gifting.client.admin import Admin
from gifting.model.protection import Protection, write_protection
from tests.integration.economy.test_stores import STORE, of_apple, of_google
from tests.support.apple import Store, now_ms
from tests.support.http_server import HttpServer
from tests.support.keys import new_key, session_keys
from tests.support.play import Play, a_purchase, bought_push, push_token
from tests.support.server import Server

FAST: dict[str, Any] = {"reconcile_interval": 0.1, "message_rate": 1000, "message_burst": 1000}


class Shop:
    """A server that sells by both stores, to ``ann`` in the US, who has been asked for limits."""

    def __init__(self, server: Server, play: Play, apple: HttpServer) -> None:
        self.server = server
        self.play = play
        self.apple = apple

    @property
    def buyer(self) -> Admin:
        return self.server.caller("ann", "viewer", region="US", age=30)

    async def begin(self, provider: str) -> Any:
        body = {"package": "coins-20", "provider": provider, "key": new_key()}
        return await self.buyer.call("POST", "/v1/purchases", body)

    async def claim(self, order: Any, receipt: str) -> Any:
        return await self.buyer.call("POST", f"/v1/purchases/{order['id']}/claim", {"receipt": receipt})

    async def state(self, order: Any) -> str:
        return str((await self.buyer.call("GET", f"/v1/purchases/{order['id']}"))["state"])

    async def coins(self) -> int:
        return (await self.server.operator.wallets(["ann"]))["ann"]

    async def says(self, provider: str, body: bytes | str, **headers: str) -> httpx.Response:
        """What a store sends, and what it is answered."""
        async with httpx.AsyncClient(timeout=WITHIN) as client:
            return await client.post(f"{self.server.url}/v1/webhooks/{provider}", content=body, headers=headers)

    async def apple_says(self, kind: str, transaction: dict[str, Any], store: Store = STORE) -> httpx.Response:
        return await self.says("apple", json.dumps({"signedPayload": store.body(kind, transaction)}))

    async def google_says(self, body: bytes) -> httpx.Response:
        return await self.says("google", body, authorization=push_token())

    def sold(self, order: Any, token: str = "t1") -> None:
        """Google sold it."""
        item = {"productId": "coins.20", "productOfferDetails": {"quantity": 1}}
        self.play.purchases[token] = a_purchase(obfuscatedExternalProfileId=order["id"], productLineItem=[item])


@pytest.fixture
async def shop(tmp_path: Path, redis_url: str, redis_client: Redis) -> AsyncIterator[Shop]:
    key = f"{session_keys(16).base('ann')}:accounts"
    await redis_client.hset(key, "ann", write_protection(Protection(asked=1)))
    async with Play() as play, HttpServer(lambda _: (200, {"hasMore": False})) as apple:
        settings = of_apple(tmp_path, apple_api=apple.url) | of_google(tmp_path, play)
        async with Server(tmp_path / "data", redis_url, providers="apple,google", **settings, **FAST) as server:
            yield Shop(server, play, apple)


def bought(order: Any, **more: Any) -> dict[str, Any]:
    return STORE.transaction(appAccountToken=order["id"], productId="coins.20", **more)


async def test_a_purchase_of_apples_from_the_receipt_to_the_refund(shop: Shop) -> None:
    order = await shop.begin("apple")
    assert (order["state"], order["url"]) == ("created", "")
    paid = await shop.claim(order, STORE.sign(bought(order)))
    assert (paid["state"], await shop.coins()) == ("paid", 20)
    answers = [await shop.apple_says("ONE_TIME_CHARGE", bought(order)) for _ in range(2)]
    assert [(answer.status_code, answer.json()["changed"]) for answer in answers] == [(200, 0)] * 2
    refund = bought(order, revocationDate=now_ms(), revocationPercentage=100_000)
    answer = await shop.apple_says("REFUND", refund)
    assert (answer.status_code, await shop.state(order), await shop.coins()) == (200, "refunded", 0)


async def test_what_apple_did_not_say_is_refused_and_counted(shop: Shop) -> None:
    order = await shop.begin("apple")
    for store in (Store(), Store("Sandbox", root=STORE.root), Store("Xcode", root=STORE.root)):
        answer = await shop.apple_says("ONE_TIME_CHARGE", store.transaction(appAccountToken=order["id"]), store)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_webhook")
    wrong = await shop.apple_says("ONE_TIME_CHARGE", bought(order) | {"productId": "coins.17500"})
    assert wrong.status_code == 400
    assert (await shop.state(order), await shop.coins()) == ("created", 0)
    async with httpx.AsyncClient(timeout=WITHIN) as client:
        metrics = (await client.get(f"{shop.server.url}/metrics")).text
    for reason, count in (("unsigned", 1), ("mode", 2), ("mismatch", 1)):
        assert re.search(rf'gifting_webhooks_refused_total{{.*reason="{reason}".*}} {count}\.0', metrics), reason


async def test_a_purchase_of_googles_is_pushed_and_consumed(shop: Shop) -> None:
    order = await shop.begin("google")
    shop.sold(order)
    answer = await shop.google_says(bought_push())
    assert (answer.status_code, answer.json()["changed"], shop.play.consumed()) == (200, 1, True)
    assert (await shop.state(order), await shop.coins()) == ("paid", 20)
    assert (await shop.says("google", bought_push())).status_code == 400
    assert (await shop.says("google", bought_push(), authorization=push_token(email="x"))).status_code == 400


async def test_a_consumption_that_fails_is_made_good_without_more_coins(shop: Shop) -> None:
    order = await shop.begin("google")
    shop.sold(order)
    shop.play.down[":consume"] = 1_000_000
    assert (await shop.google_says(bought_push())).status_code == 502
    assert (await shop.state(order), await shop.coins()) == ("paid", 20)
    shop.play.down.clear()

    async def consumed() -> bool:
        return shop.play.consumed()

    await until(consumed)
    assert (await shop.state(order), await shop.coins()) == ("paid", 20)


async def test_a_server_that_dies_before_google_hears_is_made_good_by_the_next(shop: Shop) -> None:
    """The coins are issued and Google is not told: after three days it would give the money back."""
    order = await shop.begin("google")
    shop.sold(order)
    shop.play.down[":consume"] = 1_000_000
    claiming = asyncio.create_task(shop.claim(order, "t1"))

    async def asked() -> bool:
        return bool(shop.play.asked(":consume"))

    await until(asked)
    await shop.server.die()
    await asyncio.gather(claiming, return_exceptions=True)
    assert not shop.play.consumed()
    shop.play.down.clear()
    await shop.server.start()

    async def consumed() -> bool:
        return shop.play.consumed()

    await until(consumed)
    assert (await shop.state(order), await shop.coins()) == ("paid", 20)


async def test_twenty_at_once_pay_once(shop: Shop) -> None:
    order = await shop.begin("google")
    shop.sold(order)
    pushed = asyncio.gather(*(shop.google_says(bought_push()) for _ in range(10)))
    claimed = await asyncio.gather(*(shop.claim(order, "t1") for _ in range(10)))
    assert {one["state"] for one in claimed} == {"paid"}
    assert {answer.status_code for answer in await pushed} == {200}
    assert sum(answer.json()["changed"] for answer in await pushed) <= 1
    assert (await shop.state(order), await shop.coins()) == ("paid", 20)
    status, said = await shop.server.audit()
    assert status == 0, said
