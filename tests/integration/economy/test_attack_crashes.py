"""Somebody is killed at every step of a purchase, of a refund with gifts that are reversed, and of a support case: it
is resumed to the right end, and coins are issued, taken and given back exactly once.

The table names a step of the code and who dies there: the server (with its sender of webhooks), its Redis, or one of
two processes of a server. The buyer does what a good client does, asks again with the same key; the server is started
again where it died.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pkgutil
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gifting.client.admin import Admin
from gifting.economy.providers.sandbox.cards import CARDS, Fate
from gifting.errors import GiftingError
from gifting.model.protection import Protection
from tests.support.keys import new_key
from tests.support.paths import ROOT
from tests.support.server import Server

pytestmark = [pytest.mark.attack, pytest.mark.slow]

Found = TypeVar("Found")

CRASHING = ROOT / "tests" / "support" / "crashing"
WITHIN = 90.0
"""Seconds for a whole purchase, with somebody's death in it."""

PLACES = {
    "ORDERS": "gifting.ledger.orders:Orders",
    "BOOKS": "gifting.ledger.order_books:OrderBooks",
    "PROMOTIONS": "gifting.ledger.promotions:Promotions",
    "PURCHASES": "gifting.economy.purchases:Purchases",
    "SANDBOX": "gifting.economy.providers.sandbox.provider:Sandbox",
    "SENDER": "gifting.economy.providers.sandbox.sender:Sender",
    "REFUNDS": "gifting.ledger.refunds:Refunds",
    "REVERSALS": "gifting.ledger.reversals:Reversals",
    "CASES": "gifting.ledger.cases:Cases",
    "SUPPORT": "gifting.economy.support:Support",
}

ITS_OWN = pytest.mark.one_redis("it kills the one that the server has started")
BOTH, ALL = ("server", "redis"), ("server", "redis", "worker")
"""``worker``: of two processes, the one that does it, so that another hears of it, or takes it up."""

STEPS = """
    begin: the promotion      PROMOTIONS.hold                    before after
    begin: the way to it      BOOKS._refer                       before after
    begin: the order          ORDERS.open                        after
    begin: the checkout       SANDBOX.create                     before after
    begin: its address        ORDERS.attach                      before after
    begin: told               PURCHASES.open                     after
    paid: at the sandbox      SANDBOX.change                     before after
    webhook: sent             SENDER._take                       after
    webhook: heard, not noted SENDER._send                       after
    webhook: noted            SENDER._tell                       after
    webhook: believed         PURCHASES.webhook                  before after
    webhook: the coins        ORDERS.apply                       before after
    webhook: the promotion    PROMOTIONS.follow                  before after
    webhook: the buyer told   PURCHASES.tell                     before after
    webhook: the provider too SANDBOX.delivered                  before
    withdrawn: the coins      ORDERS.withdraw                    before after
    withdrawn: the money      SANDBOX.refund                     before after
    withdrawn: noted          ORDERS.withdrawn                   before after
    refunded: sent            SENDER._send(refund.created)       before
    refunded: heard           SENDER._send(refund.created)       after
    refunded: believed        PURCHASES.webhook(refund.created)  before after
    refunded: in the books    ORDERS.apply(refunded)             before after
"""
"""What is in brackets must be in what the step is given."""

REVERSED = """
    refund: the coins         REFUNDS.ask                        before after
    refund: the money         SANDBOX.refund                     before after
    refund: noted             ORDERS.withdrawn                   before after
    refund: a gift            REVERSALS.give_back                before after
    refund: its host          REVERSALS.take_from_host           before after
    refund: its host noted    REVERSALS._note                    before after
    refund: done              REFUNDS.reversed                   before after
    refunded: believed        PURCHASES.webhook(refund.created)  before after
    refunded: in the books    ORDERS.apply(refunded)             before after
    case: opened              CASES.open                         before after
    case: decided             CASES.decide                       before after
    case: carried out         SUPPORT.finish                     before after
    case: its gift            REVERSALS.give_back(stolen)        before after
    case: its host            REVERSALS.take_from_host(stolen)   before after
    case: its host noted      REVERSALS._note(stolen)            before after
    case: done                CASES.finish                       before after
"""
"""What operators do once gifts are given."""

PROMOTION = """
[[promotion]]
id = "first"
begins = 2020-01-01T00:00:00Z
ends = 2100-01-01T00:00:00Z
bonus_percent = 20
total = 100
"""
"""Its budget is enough for one purchase of 350 coins, and not for two."""


def points(steps: str) -> list[Any]:
    found = []
    for line in steps.strip().splitlines():
        label, step, whens = re.split(r" {2,}|(?<=noted) (?=SENDER)|(?<=too) |(?<=\)) ", line.strip())
        place, method, of = re.fullmatch(r"([A-Z]+)\.(\w+)(?:\((.*)\))?", step).groups("")  # type: ignore[union-attr]
        for when, who in itertools.product(whens.split(), ALL if label.startswith(("webhook", "refunded")) else BOTH):
            assert hasattr(pkgutil.resolve_name(PLACES[place]), method), f"nobody could die at {step}"
            at = f"{PLACES[place]}.{method}:{of}:{when}:{who}"
            found.append(pytest.param(at, id=f"{label}, {when}, {who}", marks=ITS_OWN if who == "redis" else ()))
    return found


class Life:
    """A server that may die, and a buyer who does not give up."""

    def __init__(self, folder: Path, redis: str, crash_at: str) -> None:
        prices = folder / "prices.toml"
        prices.write_text((ROOT / "gifting/model/prices.toml").read_text() + PROMOTION)
        rules: dict[str, Any] = {
            "providers": "sandbox",
            "prices": prices,
            "workers": 2 if crash_at.endswith("worker") else 1,
        }
        self.server = Server(folder / "data", redis, sandbox_delay=0.2, reconcile_interval=0.3, **rules)
        self.at = crash_at
        self.note = folder / "died"
        self.server.env |= {
            "CRASH_AT": crash_at,
            "CRASH_NOTE": str(self.note),
            "PYTHONPATH": os.pathsep.join([str(CRASHING), str(ROOT)]),
        }
        self.end = time.monotonic() + WITHIN
        self.deaths = 0

    @property
    def has_ended(self) -> bool:
        """Whether who had to die is dead, and alive again."""
        return self.at == "mute" or (self.note.exists() and self.deaths == self.at.endswith("server"))

    async def insist(self, step: Callable[[], Awaitable[Found]], good: Callable[[Found], bool] = bool) -> Found:
        """What the step comes to, asked again until it is good; the server is started where it has died."""
        while True:
            try:
                if good(found := await step()):
                    return found
            except GiftingError as error:
                assert error.temporary or error.code in {"no_server"}, error
            except OSError:
                pass
            assert time.monotonic() < self.end, "it came to no end"
            assert self.server.process is not None
            if self.server.process.returncode is not None:
                self.deaths += 1
                await self.server.stop()
                await self.server.start()
            await asyncio.sleep(0.02)

    async def call(self, buyer: Admin, method: str, path: str, body: Any = None, **good: Any) -> Any:
        wanted: Callable[[Any], bool] = lambda found: all(found[name] in is_ for name, is_ in good.items())  # noqa: E731
        return await self.insist(lambda: buyer.call(method, path, body), wanted)


async def buy_and_withdraw(life: Life) -> None:
    """A whole life of an order: begun, paid, withdrawn, refunded."""
    await life.server.protect("ann", Protection(asked=1))
    buyer = life.server.caller("ann", "viewer", region="DE", age=30)
    key, card = new_key(), next(card.number for card in CARDS if card.fate is Fate.PAYS)
    body = {"package": "coins-350", "provider": "sandbox", "key": key}
    order = await life.call(buyer, "POST", "/v1/purchases", body)
    assert order["url"] and order["state"] == "created"
    path, checkout = f"/v1/purchases/{order['id']}", order["url"].rpartition("/")[2]
    await life.call(buyer, "POST", f"/v1/sandbox/checkouts/{checkout}/pay", {"card": card}, status=["paid"])
    paid = await life.call(buyer, "GET", path, state=["paid"])
    assert (paid["coins"], paid["bonus"]) == (350, 70)
    coins = 420
    assert (await life.call(buyer, "GET", "/v1/users/ann/wallet"))["coins"] == coins
    again = await life.call(buyer, "POST", "/v1/purchases", body)
    assert again["id"] == order["id"], "a key is one order, for ever"
    withdrawal = new_key()
    offer = await life.call(buyer, "POST", f"{path}/withdraw", {"key": withdrawal})
    assert offer["offered"] and offer["amount"] == paid["price"]
    agreed = {"key": withdrawal, "token": offer["token"]}
    gone = await life.call(buyer, "POST", f"{path}/withdraw", agreed, offered=[False])
    assert gone["receipt"]["coins"] == paid["coins"]

    def is_over(found: Any) -> bool:
        return life.has_ended and (found["state"], *(one["status"] for one in found["receipts"])) == (
            "refunded",
            "done",
        )

    done = await life.insist(lambda: buyer.call("GET", path), is_over)
    assert done["refunded"] == paid["price"]
    assert (await life.call(buyer, "GET", "/v1/users/ann/wallet"))["coins"] == 0
    assert len((await life.call(buyer, "GET", "/v1/purchases"))["purchases"]) == 1


async def buy(life: Life, buyer: Admin) -> dict[str, Any]:
    """350 coins, and 70 on top."""
    await life.server.protect("ann", Protection(asked=1))
    card = next(card.number for card in CARDS if card.fate is Fate.PAYS)
    body = {"package": "coins-350", "provider": "sandbox", "key": new_key()}
    order = await life.call(buyer, "POST", "/v1/purchases", body)
    checkout = order["url"].rpartition("/")[2]
    await life.call(buyer, "POST", f"/v1/sandbox/checkouts/{checkout}/pay", {"card": card}, status=["paid"])
    paid: dict[str, Any] = await life.call(buyer, "GET", f"/v1/purchases/{order['id']}", state=["paid"])
    return paid


async def refund_and_resolve(life: Life) -> None:
    """All coins are spent but 20; the purchase is refunded with one of its gifts, and a case is about the other one."""
    await life.server.room("r1")
    buyer, operator = life.server.caller("ann", "viewer", region="DE", age=30), life.server.operator
    order = await buy(life, buyer)
    gifts = [new_key(), new_key()]
    for gift, count in zip(gifts, (300, 100), strict=True):
        await life.call(buyer, "POST", "/v1/rooms/r1/gifts", {"gift": "spark", "count": count, "key": gift})
    path = f"/v1/purchases/{order['id']}"
    refund = {"gifts": gifts[:1], "reason": "a child", "key": new_key()}
    done = await life.call(operator, "POST", f"{path}/refund", refund, status=["done"])
    assert (done["amount"], done["coins"], done["bonus"]) == (order["price"], 350, 70)
    about = {"about": {"gift": gifts[1]}, "kind": "unauthorised", "key": new_key()}
    case = f"/v1/support/cases/{(await life.call(buyer, 'POST', '/v1/support/cases', about))['id']}"
    await life.insist(lambda: decide(operator, case), lambda found: life.has_ended and bool(found))
    await life.call(buyer, "GET", path, state=["refunded"])
    wallet = await life.call(buyer, "GET", "/v1/users/ann/wallet")
    assert wallet["coins"] == 0
    balance = await life.call(operator, "GET", "/v1/creators/host/balance")
    assert [balance[name]["diamonds"] for name in ("pending", "available", "owed", "debt")] == [0] * 4


async def decide(operator: Admin, case: str) -> bool:
    """Whether the case is closed. It is decided here unless it is; what was decided is left to the worker."""
    found = await operator.call("GET", case)
    if found["state"] == "open":
        found = await operator.call("POST", f"{case}/resolve", {"outcome": "reversed", "reason": "stolen"})
    return bool(found["state"] == "closed")


@pytest.mark.parametrize("crash_at", points(REVERSED))
async def test_whoever_dies_and_wherever_what_is_reversed_is_so_once(
    tmp_path: Path, server_redis: str, crash_at: str
) -> None:
    life = Life(tmp_path, server_redis, crash_at)
    async with life.server:
        await refund_and_resolve(life)
        assert life.note.exists(), "nobody died: the step is not on the way any more"
        assert life.deaths == crash_at.endswith("server")
    status, said = await life.server.audit()
    assert status == 0, said


@pytest.mark.parametrize("crash_at", points(STEPS))
async def test_whoever_dies_and_wherever_the_coins_come_once(tmp_path: Path, server_redis: str, crash_at: str) -> None:
    life = Life(tmp_path, server_redis, crash_at)
    async with life.server:
        await buy_and_withdraw(life)
        assert life.note.exists(), "nobody died: the step is not on the way any more"
        assert life.deaths == crash_at.endswith("server")
    status, said = await life.server.audit()
    assert status == 0, said


async def test_where_no_webhook_ever_comes_the_reconciliation_finds_it_all(tmp_path: Path, server_redis: str) -> None:
    life = Life(tmp_path, server_redis, "mute")
    async with life.server:
        await buy_and_withdraw(life)
        assert "no webhook had told of paid" in life.server.log_text()
    status, said = await life.server.audit()
    assert status == 0, said
