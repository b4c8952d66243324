"""A purchase from its key to the coins, by HTTP alone: a real server, the sandbox, its webhooks over the network."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import errors
from gifting.client.admin import Admin
from gifting.economy.providers.sandbox.cards import CARDS, Fate
from gifting.economy.providers.signature import sign
from gifting.model.money import make_key
from gifting.model.orders import pack_order, unpack_order
from gifting.model.protection import Protection, write_protection
from gifting.wire.codec import JSON
from tests.support.keys import new_key, session_keys
from tests.support.paths import ROOT
from tests.support.raw import TEXT, Raw
from tests.support.server import SECRET, Server
from tests.support.waiting import WITHIN, until

pytestmark = pytest.mark.slow

NUMBERS = {card.fate: card.number for card in CARDS}


class Shop:
    """A server with play money, and buyers from Germany who have been asked for limits."""

    def __init__(self, server: Server, redis: Redis) -> None:
        self.server = server
        self.redis = redis

    async def buyer(self, user: str = "ann", region: str = "DE", age: int = 30) -> Admin:
        key = f"{session_keys(16).base(user)}:accounts"
        await self.redis.hset(key, user, write_protection(Protection(asked=1)))
        return self.server.caller(user, "viewer", region=region, age=age)

    async def http(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        async with httpx.AsyncClient(base_url=self.server.url, timeout=WITHIN) as client:
            answer = await client.request(method, path, content=body, headers=headers)
            return answer.status_code, answer.content

    async def webhook(self, body: bytes, secret: str = "", ahead: float = 0.0) -> tuple[int, dict[str, Any]]:
        """Send a webhook as the sandbox would, by a clock that is so many seconds ahead."""
        own = hmac.new(SECRET.encode(), b"gifting sandbox webhooks", sha256).hexdigest()
        signed = sign(body, secret or own, int(time.time() + ahead))
        status, answer = await self.http("POST", "/v1/webhooks/sandbox", body, {"Stripe-Signature": signed})
        return status, json.loads(answer)

    async def wallet(self, user: str = "ann") -> int:
        return (await self.server.operator.wallets([user]))[user]


def event(type_: str, seen: dict[str, Any]) -> bytes:
    usual = {"id": "evt_1", "type": type_, "created": int(time.time()), "livemode": False}
    return json.dumps({**usual, "data": {"object": seen}}, separators=(",", ":")).encode()


def paid_event(order: dict[str, Any], session: str = "cs_1", amount: int = 0, currency: str = "") -> bytes:
    seen = {"id": session, "created": order["created"] // 1000, "metadata": {"gifting_order": order["id"]}}
    money = {"amount_total": amount or order["price"], "currency": currency or order["currency"].lower()}
    return event("checkout.session.completed", {**seen, **money, "payment_status": "paid"})


def refund_event(order: dict[str, Any], amount: int) -> bytes:
    seen = {"id": "re_1", "created": order["created"] // 1000 + 1, "metadata": {"gifting_order": order["id"]}}
    money = {"amount": amount, "currency": order["currency"].lower(), "status": "succeeded"}
    return event("refund.created", seen | money)


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
    assert (order["refundable"], order["withdraw_days"], bool(order["terms"])) == (True, 14, True), "said before paying"
    assert (await pay(buyer, order))["status"] == "paid"
    paid = await reaches(buyer, order, "paid")
    assert await shop.wallet() == paid["coins"] + paid["bonus"] > 0
    assert paid["url"] == ""


async def dumps(redis: Redis) -> dict[bytes, Any]:
    """Everything in Redis but what nodes say of themselves."""
    names = sorted([name async for name in redis.scan_iter() if b"presence" not in name])
    return {name: await redis.dump(name) for name in names}


async def metrics(shop: Shop) -> dict[str, float]:
    """Series of the economy, by what stands before their value, without the node's name."""
    text = (await shop.http("GET", "/metrics"))[1].decode()
    found = [line.rpartition(" ") for line in text.splitlines() if "gifting_p" in line or "gifting_w" in line]
    return {re.sub(r'node="[^"]*",?', "", name): float(value) for name, _, value in found if not name.startswith("#")}


@pytest.mark.parametrize(
    ("fate", "state", "left"),
    [
        (Fate.LATER, "paid", 350),
        (Fate.LATER_FAILS, "failed", 0),
        (Fate.REFUND, "refunded", 0),
        (Fate.REFUND_PART, "partly_refunded", 175),
        (Fate.DISPUTE, "disputed", 350),
        (Fate.DISPUTE_WON, "won", 350),
        (Fate.DISPUTE_LOST, "lost", 0),
        (Fate.WARNING, "fraud_warning", 350),
    ],
)
async def test_every_card_comes_to_its_end_by_webhooks_alone(shop: Shop, fate: Fate, state: str, left: int) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    await pay(buyer, order, fate)
    await reaches(buyer, order, state)
    assert abs(await shop.wallet() - left) <= 1, "an odd cent is rounded"
    assert (await shop.server.audit())[0] == 0


async def test_a_warning_freezes_until_an_operator_has_cleared_it(shop: Shop) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    await pay(buyer, order, Fate.WARNING)
    await reaches(buyer, order, "fraud_warning")
    with pytest.raises(errors.GiftingError, match="forbidden"):
        await buyer.call("POST", f"/v1/purchases/{order['id']}/clear", {})
    with pytest.raises(errors.GiftingError, match="account_frozen"):
        await begin(buyer)
    for _ in range(2):
        cleared = await shop.server.operator.call("POST", f"/v1/purchases/{order['id']}/clear", {})
        assert cleared["state"] == "paid"
    await begin(buyer)
    assert (await shop.server.audit())[0] == 0


async def test_a_card_may_ask_and_be_declined_and_nothing_is_issued_before_it_is_paid(shop: Shop) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    path = f"/v1/sandbox/checkouts/{order['url'].rpartition('/')[2]}"
    assert "declined" in (await pay(buyer, order, Fate.DECLINED))["refused"]
    assert (await pay(buyer, order, Fate.CONFIRM))["status"] == "confirm"
    assert (await buyer.call("POST", f"{path}/confirm", {"approved": False}))["status"] == "open"
    assert await shop.wallet() == 0
    await pay(buyer, order, Fate.CONFIRM)
    assert (await buyer.call("POST", f"{path}/confirm", {"approved": True}))["status"] == "paid"
    await reaches(buyer, order, "paid")
    assert (await buyer.call("POST", f"{path}/cancel", {}))["refused"]


async def test_who_cancels_has_an_order_that_expired_and_no_coins(shop: Shop) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    await buyer.call("POST", f"/v1/sandbox/checkouts/{order['url'].rpartition('/')[2]}/cancel", {})
    assert (await reaches(buyer, order, "expired"))["url"] == ""
    assert await shop.wallet() == 0


async def test_twenty_at_once_begin_one_order_and_another_wish_is_refused(shop: Shop) -> None:
    buyer, key = await shop.buyer(), new_key()
    orders = await asyncio.gather(*(begin(buyer, key) for _ in range(20)))
    assert len({order["id"] for order in orders}) == len({order["url"] for order in orders}) == 1
    with pytest.raises(errors.KeyReused):
        await begin(buyer, key, package="coins-70")
    assert len((await buyer.call("GET", "/v1/purchases"))["purchases"]) == 1


async def test_webhooks_late_twice_out_of_order_and_twenty_at_once_issue_once(shop: Shop) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    paid, refunded = paid_event(order), refund_event(order, 100)
    answers = await asyncio.gather(*(shop.webhook(body) for body in [refunded, paid] * 10))
    assert {status for status, _ in answers} == {200}
    assert sum(answer["changed"] for _, answer in answers) == 2
    found = await buyer.call("GET", f"/v1/purchases/{order['id']}")
    assert found["state"] == "partly_refunded" and found["refunded"] == 100
    assert await shop.wallet() == found["coins"] - found["taken"] > 0
    assert (await shop.server.audit())[0] == 0


@pytest.mark.attack
async def test_no_webhook_that_is_not_believed_changes_a_byte_and_each_is_counted(shop: Shop) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    paid = paid_event(order)
    before = await dumps(shop.redis)
    foreign, live = paid.replace(b'"id"', b'"account":"acct_1","id"', 1), paid.replace(b"false", b"true", 1)
    for reason, body, how in (
        ("unsigned", paid, {"secret": "whsec_guessed"}),
        ("stale", paid, {"ahead": -301}),
        ("stale", paid, {"ahead": 360}),  # for as long as a busy machine may take to hear it
        ("foreign", foreign, {}),
        ("mode", live, {}),
        ("malformed", b"{}", {}),
    ):
        name = f'gifting_webhooks_refused_total{{reason="{reason}"}}'
        counted = (await metrics(shop))[name]
        status, answer = await shop.webhook(body, **how)
        assert (status, answer["code"]) == (400, "bad_webhook"), reason
        assert (await metrics(shop))[name] == counted + 1
    assert (await shop.http("POST", "/v1/webhooks/sandbox", paid))[0] == 400, "it has no signature at all"
    assert (await shop.http("POST", "/v1/webhooks/paypal", paid))[0] == 400
    assert (await shop.http("POST", "/v1/webhooks/sandbox", b"x" * (256 * 1024 + 1)))[0] == 413
    assert await dumps(shop.redis) == before
    assert await shop.wallet() == 0


@pytest.mark.attack
@pytest.mark.parametrize("change", [{"amount": 1}, {"amount": 10**9}, {"currency": "jpy"}])
async def test_money_that_the_order_does_not_ask_for_issues_nothing(shop: Shop, change: dict[str, Any]) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    assert await shop.webhook(paid_event(order, **change)) == (200, {"ok": True, "changed": 0})
    assert (await metrics(shop))["gifting_payment_mismatches_total{}"] == 1
    assert "payment_mismatch" in shop.server.log_text()
    assert (await buyer.call("GET", f"/v1/purchases/{order['id']}"))["state"] == "created"
    assert await shop.wallet() == 0


@pytest.mark.attack
async def test_a_payment_of_one_order_is_none_of_another(shop: Shop) -> None:
    buyer = await shop.buyer()
    one, other = await begin(buyer), await begin(buyer)
    await shop.webhook(paid_event(one, session="cs_same"))
    assert (await shop.webhook(paid_event(other, session="cs_same")))[1]["changed"] == 0
    assert (await buyer.call("GET", f"/v1/purchases/{other['id']}"))["state"] == "created"
    assert (await shop.webhook(paid_event({**one, "id": new_key()}, session="cs_2")))[0] == 404, "to be sent again"


async def test_what_was_said_before_paying_holds_whatever_the_region_says_later(
    tmp_path: Path, redis_url: str, redis_client: Redis
) -> None:
    regions = tmp_path / "regions.toml"
    known = (ROOT / "gifting" / "model" / "regions.toml").read_text()
    regions.write_text(known)
    async with Server(tmp_path / "data", redis_url, regions=regions, providers="sandbox", sandbox_delay=0.3) as server:
        shop = Shop(server, redis_client)
        order = await begin(buyer := await shop.buyer())
        await pay(buyer, order)
        paid = await reaches(buyer, order, "paid")
        old, new = "You may withdraw from the purchase within 14 days", "Nothing goes back"
        regions.write_text(known.replace(old, new).replace("withdrawal_days = 14", "withdrawal_days = 0"))
        await server.operator.call("POST", "/v1/admin/reload", {})
        assert (await begin(buyer))["terms"].startswith(new), "of an order that begins now"
        moved = await shop.buyer(region="US")
        found = await moved.call("GET", f"/v1/purchases/{order['id']}")
        assert found == paid and found["terms"].startswith(old)
        assert (await moved.call("POST", f"/v1/purchases/{order['id']}/withdraw", {"key": new_key()}))["offered"]
        await older(redis_client, order["id"])
        assert (await moved.call("GET", f"/v1/purchases/{order['id']}"))["terms"].startswith(new)


async def older(redis: Redis, order_id: str) -> None:
    """As an older version wrote the order: without the terms."""
    key = session_keys(16).orders("ann")[0]
    kept = await redis.hget(key, order_id)
    assert isinstance(kept, bytes)
    await redis.hset(key, order_id, pack_order(replace(unpack_order(kept), terms="")))


@pytest.mark.attack
async def test_what_is_anothers_is_not_there(shop: Shop) -> None:
    buyer, other = await shop.buyer(), await shop.buyer("eve")
    order = await begin(buyer)
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/claim", {"receipt": "x"}),
        ("POST", "/withdraw", {"key": new_key()}),
    ):
        with pytest.raises(errors.OrderNotFound):
            await other.call(method, f"/v1/purchases/{order['id']}{path}", body)
    assert (await other.call("GET", "/v1/purchases"))["purchases"] == []
    assert (await shop.server.operator.call("GET", f"/v1/purchases/{order['id']}"))["user"] == "ann"


@pytest.mark.parametrize(
    ("more", "who", "error"),
    [
        ({}, {"age": 17}, errors.AgeRequired),
        ({}, {"age": 0}, errors.AgeRequired),
        ({"region": "US"}, {}, errors.RegionNotAllowed),
        ({"package": "none"}, {}, errors.UnknownPackage),
        ({"provider": "stripe"}, {}, errors.UnknownProvider),
        ({"package": "", "coins": 19}, {}, errors.BadAmount),
        ({"package": ""}, {}, errors.BadMessage),
        ({"coins": 100}, {}, errors.BadMessage),
        ({"return_url": "https://evil.example/"}, {}, errors.BadMessage),
        ({"return_url": "javascript:alert(1)"}, {}, errors.BadMessage),
        ({"price": 1}, {}, errors.Conflict),
        ({"key": make_key(4_000_000_000_000, bytes(10))}, {}, errors.KeyInFuture),
        ({"key": "x"}, {}, errors.BadKey),
    ],
)
async def test_what_is_refused_leaves_every_byte_as_it_was(
    shop: Shop, more: dict[str, Any], who: dict[str, Any], error: type[errors.GiftingError]
) -> None:
    buyer = await shop.buyer(**who)
    before = await dumps(shop.redis)
    with pytest.raises(error):
        await begin(buyer, **more)
    assert await dumps(shop.redis) == before


async def test_the_first_purchase_asks_for_a_limit_which_then_holds(shop: Shop) -> None:
    buyer = await shop.buyer()
    await shop.redis.hdel(f"{session_keys(16).base('ann')}:accounts", "ann")
    key = new_key()
    with pytest.raises(errors.LimitsUnasked):
        await begin(buyer, key)
    await buyer.call("PUT", "/v1/users/ann/limits", {"purchases": {"h24": 400}})
    assert (await begin(buyer, key))["state"] == "created", "with the same key"
    with pytest.raises(errors.PurchaseLimit) as caught:
        await begin(buyer)
    assert caught.value.until > time.time() * 1000


async def test_a_withdrawal_is_shown_then_agreed_to_and_its_receipt_stays(shop: Shop) -> None:
    buyer, key = await shop.buyer(), new_key()
    order = await begin(buyer)
    path = f"/v1/purchases/{order['id']}/withdraw"
    with pytest.raises(errors.NotWithdrawable):
        await buyer.call("POST", path, {"key": key})
    await pay(buyer, order)
    await reaches(buyer, order, "paid")
    offer = await buyer.call("POST", path, {"key": key})
    assert (offer["offered"], offer["coins"], offer["amount"]) == (True, 350, order["price"])
    assert await shop.wallet() == 350, "to be told of it changes nothing"
    for token in ("x", offer["token"][:-1] + "x", offer["token"].replace("350.", "349.", 1), "1.1.1.1"):
        with pytest.raises(errors.Conflict):
            await buyer.call("POST", path, {"key": key, "token": token})
    with pytest.raises(errors.Conflict):
        await buyer.call("POST", path, {"key": new_key(), "token": offer["token"]})
    agreed = {"key": key, "token": offer["token"]}
    receipts = [(await buyer.call("POST", path, agreed))["receipt"] for _ in range(3)]
    assert receipts[0] == receipts[1] == receipts[2] and receipts[0]["status"] == "done"
    found = await reaches(buyer, order, "refunded")
    assert found["receipts"] == [receipts[0]] and found["refunded"] == order["price"]
    assert await shop.wallet() == 0
    assert (await shop.server.audit())[0] == 0


async def test_what_was_shown_must_be_so_still(shop: Shop) -> None:
    buyer = await shop.buyer()
    order = await begin(buyer)
    await pay(buyer, order)
    await reaches(buyer, order, "paid")
    path, key = f"/v1/purchases/{order['id']}/withdraw", new_key()
    offer = await buyer.call("POST", path, {"key": key})
    await shop.server.room("r1")
    await buyer.call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "key": new_key()})
    with pytest.raises(errors.Conflict):
        await buyer.call("POST", path, {"key": key, "token": offer["token"]})
    anew = await buyer.call("POST", path, {"key": key})
    assert anew["coins"] == 349 and anew["amount"] < order["price"]
    await buyer.call("POST", path, {"key": key, "token": anew["token"]})
    assert await shop.wallet() == 0


async def test_a_provider_that_gives_nothing_back_has_the_coins_given_back(shop: Shop) -> None:
    buyer, key = await shop.buyer(), new_key()
    order = await begin(buyer)
    await pay(buyer, order, Fate.NO_REFUND)
    await reaches(buyer, order, "paid")
    path = f"/v1/purchases/{order['id']}/withdraw"
    offer = await buyer.call("POST", path, {"key": key})
    gone = await buyer.call("POST", path, {"key": key, "token": offer["token"]})
    assert gone["receipt"]["status"] == "failed"
    assert await shop.wallet() == 350
    assert (await shop.server.audit())[0] == 0


async def balance(socket: Raw) -> int:
    """The next that the socket hears of."""
    while True:
        opcode, payload = await socket.frame()
        if opcode == TEXT and (events := JSON.decode_any(payload).get("events")):
            (event,) = events
            assert event["type"] == "wallet"
            return int(event["coins"])


async def test_the_buyers_sockets_hear_of_the_coins_wherever_they_are(
    shop: Shop, tmp_path: Path, redis_url: str
) -> None:
    async with Server(tmp_path / "other", redis_url, providers="sandbox") as other:
        token = shop.server.token("ann", region="DE", age=30)
        sockets = [await Raw.upgraded(server, token) for server in (shop.server, other)]
        buyer = await shop.buyer()
        await pay(buyer, await begin(buyer))
        async with asyncio.timeout(WITHIN):
            assert [await balance(socket) for socket in sockets] == [350, 350]
        for socket in sockets:
            socket.writer.close()


async def test_play_money_is_said_at_the_start(shop: Shop) -> None:
    assert "play money" in shop.server.log_text()
