"""The sandbox's payouts and creators: what becomes of them is told by real webhooks, and believed like Stripe's."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gifting import errors
from gifting.client import Admin
from gifting.economy.payers.sandbox import Sandbox
from gifting.economy.payers.sandbox_teller import LONGEST, Teller
from gifting.economy.payout_news import PayoutNews
from gifting.economy.payouts import Payouts
from gifting.economy.providers import signature
from gifting.economy.providers.base import Reason
from gifting.economy.providers.sandbox.sender import Address
from gifting.economy.providers.stripe_events import PAYOUT
from gifting.model.creator import CreatorRecord, Destination
from gifting.model.creators import parse_creators
from gifting.model.money import parse_key
from gifting.model.payouts import DAY_MS, Payout, State, state
from tests.support.http_server import Answer, Asked, HttpServer
from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.world import World

TERMS = """
[payout]
currency = "USD"
micros_per_diamond = 10_000
minimum = 10
daily_maximum = 15_000
[[tier]]
id = "free"
hold_days = 0
"""
ASKED, DELAY = 100_000, 5_000


class Books:
    """One process with a sandbox, and where its webhooks go: to itself, unless it ``refuses``."""

    def __init__(self, world: World) -> None:
        terms = parse_creators(TERMS, "creators.toml")
        self.sandbox = Sandbox(world.ledger, lambda: ["a secret", "an older one"], DELAY)
        self.payouts = Payouts(world.ledger, {"sandbox": self.sandbox}, lambda: terms)
        self.news = PayoutNews(world.ledger, self.payouts)
        self.world, self.refuses = world, False
        self.server = HttpServer(self._hear)

    async def _hear(self, asked: Asked) -> Answer:
        if self.refuses:
            return 503, {}
        assert asked.path == "/v1/webhooks/sandbox"
        return 200, {"changed": await self.news.webhook("sandbox", asked.body, asked.headers)}

    @property
    def teller(self) -> Teller:
        return Teller(self.sandbox, self.world.ledger, Address(self.server.url))

    @property
    def told(self) -> list[str]:
        return [str(asked.json["type"]) for asked in self.server.asked]

    async def pay(self, account: str) -> Payout:
        await known(self.world, destination=Destination("sandbox", account, self.world.clock[0], 0))
        made = await self.payouts.request("host", parse_key(self.world.key()), ASKED)
        await self.payouts.resume()
        return made

    async def state(self, made: Payout) -> State:
        return state(await self.world.ledger.payouts.get(made.id))


@pytest.fixture
async def books(world: World) -> AsyncIterator[Books]:
    world.clock[0] = time.time_ns() // 1_000_000
    await world.grant("ann", 1_000)
    await world.send(count=400)
    await known(world, kyc="verified")
    made = Books(world)
    async with made.server:
        yield made


async def known(world: World, **of: Any) -> None:
    def rule(record: CreatorRecord) -> CreatorRecord:
        return replace(record, **of)

    await world.ledger.creators.change("host", rule, what="kyc", value="", by="op")


async def kyc(world: World) -> str:
    return (await world.ledger.creators.read("host")).record.kyc


async def test_what_becomes_of_a_payout_is_told_when_it_does(books: Books, world: World) -> None:
    later, returned = await books.pay("later"), await books.pay("returned")
    await books.teller.round()
    assert sorted(books.told) == ["payout.created", "payout.paid"]
    assert [await books.state(one) for one in (later, returned)] == [State.PROCESSING, State.PAID]
    world.clock[0] += DELAY
    await books.teller.round()
    assert (await books.state(later), books.told[2:]) == (State.PAID, ["payout.paid"])
    world.clock[0] += DAY_MS
    await books.teller.round()
    assert (await books.state(returned), books.told[3:]) == (State.RETURNED, ["payout.failed"])
    world.clock[0] += 10 * DAY_MS
    await books.teller.round()
    assert len(books.told) == 4, "there is no more to tell"


async def test_what_is_not_taken_is_told_again_ever_more_slowly_and_given_up(books: Books, world: World) -> None:
    books.refuses = True
    made = await books.pay("later")
    began = world.clock[0]
    while await world.redis.zcard(world.ledger.keys.sandbox_payouts_due):
        world.clock[0] = int(
            (await world.redis.zrange(world.ledger.keys.sandbox_payouts_due, 0, 0, withscores=True))[0][1]
        )
        await books.teller.round()
    assert len(books.told) < 30 and world.clock[0] - began > LONGEST
    assert await books.state(made) is State.PROCESSING
    world.clock[0] += DAY_MS
    await books.payouts.resume()
    assert await books.state(made) is State.PAID, "found all the same"


async def test_whoever_tells_may_die_before_it_is_noted_that_it_was_taken(books: Books, world: World) -> None:
    made = await books.pay("later")
    world.clock[0] += DELAY
    for _ in range(3):
        await books.teller.round()
        await world.ledger.sandbox.tell(f"payout\n{made.id}", 0)
    assert books.told == ["payout.paid"] * 3 and await books.state(made) is State.PAID


@pytest.mark.parametrize(
    ("account", "first", "last"),
    [("verified", "verified", "verified"), ("pending", "pending", "verified"), ("rejected", "rejected", "rejected")],
)
async def test_who_a_creator_is_is_told_too(books: Books, world: World, account: str, first: str, last: str) -> None:
    await known(world, kyc="none", destination=Destination("sandbox", f"{account}_1", world.clock[0], 0))
    await books.payouts.identities.ask("host")
    assert await kyc(world) == first
    world.clock[0] += DELAY
    await books.teller.round()
    assert await kyc(world) == last
    assert books.told == ["account.updated"] * (first != last)


@pytest.mark.attack
async def test_only_what_it_signed_for_this_account_is_believed(books: Books, world: World) -> None:
    made = await books.pay("later")
    await books.teller.round()
    (asked,) = books.server.asked
    secret, now = books.sandbox.secrets[0], world.clock[0] // 1000
    event = {**asked.json, "type": "payout.paid"}

    async def told(by: str = secret, at: int = now, **more: Any) -> int:
        body = msgspec.json.encode({**event, **more})
        return await books.news.webhook("sandbox", body, {signature.HEADER: signature.sign(body, by, at)})

    for wrong, reason in (
        ({"by": "a secret"}, Reason.UNSIGNED),
        ({"at": now - 301}, Reason.STALE),
        ({"at": now + 301}, Reason.STALE),
        ({"livemode": True}, Reason.MODE),
        ({"account": "other"}, Reason.FOREIGN),
        ({"account": None}, Reason.FOREIGN),
        ({"data": {}}, Reason.MALFORMED),
    ):
        with pytest.raises(errors.BadWebhook) as caught:
            await told(**wrong)
        assert caught.value.reason == reason and books.news.refused[reason]
    assert await told(books.sandbox.secrets[1]) == 0 and await books.state(made) is State.PROCESSING
    with pytest.raises(errors.PayoutNotFound):
        await told(data={"object": {"id": "po_1", "metadata": {PAYOUT: new_key()}}})
    assert not books.news.is_of("sandbox", b"{}", {}, alone=False)
    assert not books.news.is_of("stripe", b"{}", {}, alone=True)


async def has_become(caller: Admin, path: str, name: str, value: str) -> bool:
    return bool((await caller.call("GET", path))[name] == value)


async def test_over_http(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    """By webhooks alone: nothing is asked again for an hour."""
    terms = tmp_path / "creators.toml"
    terms.write_text(TERMS)
    settings: dict[str, Any] = {"creators": str(terms), "payers": "sandbox", "providers": "sandbox"}
    settings["message_rate"] = 1000
    async with Server(tmp_path / "data", redis_url, **settings, sandbox_delay=0.5, reconcile_interval=0.1) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 1_000)
        gift = {"gift": "spark", "count": 400, "key": new_key()}
        await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)
        host = server.caller("host", "creator", mfa=True)
        to = {"provider": "sandbox", "account": "pending_1"}
        assert (await host.call("PUT", "/v1/creators/host/destination", to))["kyc"] == "pending"
        with pytest.raises(errors.KycRequired):
            await host.call("POST", "/v1/payouts", {"diamonds": ASKED, "key": new_key()})
        await until(partial(has_become, host, "/v1/creators/host", "kyc", "verified"))
        made = await host.call("POST", "/v1/payouts", {"diamonds": ASKED, "key": new_key()})
        await until(partial(has_become, host, f"/v1/payouts/{made['id']}", "state", "paid"))
        for forged in ("payout.paid", "checkout.session.completed"):
            with pytest.raises(errors.BadWebhook):
                await server.caller("eve", "viewer").call("POST", "/v1/webhooks/sandbox", {"type": forged})
