"""Apple's App Store: what its notifications mean, what is asked of it, and what it is answered."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

pytest.importorskip("appstoreserverlibrary")

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gifting.economy.providers.apple.api import Api, Key
from gifting.economy.providers.apple.provider import Apple
from gifting.economy.providers.apple.signed import App, Signed
from gifting.economy.providers.apple.told import ANSWER_WITHIN
from gifting.economy.providers.base import Facts, ProviderRefused, Reason, RefundRequest, Told
from gifting.economy.providers.remote import Remote
from gifting.errors import BadReceipt, BadWebhook, ProviderFailed
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Order, add
from tests.support.apple import APP, BUNDLE, Store, now_ms
from tests.support.http_server import Answer, Asked, HttpServer
from tests.support.shelf import ORDER, a_shelf, an_order

STORE = Store()
PEM = STORE.leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
BOUGHT = STORE.transaction(appAccountToken=ORDER)


def apple(
    *orders: Order, url: str = "http://127.0.0.1:1", consent: bool = True, store: Store = STORE, **app: Any
) -> Apple:
    signed = Signed([store.root.der], App(BUNDLE, APP, live=True, **{"online": False, **app}))
    api = Api(Remote("Apple", url), Key("K1", "issuer", PEM), BUNDLE)
    return Apple(signed, api, a_shelf(*orders), live=True, consent=consent)


def body(kind: str, transaction: dict[str, Any] | None = None) -> bytes:
    return json.dumps({"signedPayload": STORE.body(kind, transaction)}).encode()


async def told(kind: str, *orders: Order, **more: Any) -> list[Told]:
    return list(await apple(*(orders or (an_order("apple"),))).verify(body(kind, BOUGHT | more), {}, now_ms()))


PAID = Effect("apple", "2000000000000001", Kind.PAID, BOUGHT["purchaseDate"], ORDER, "apple:2000000000000001")


async def test_a_purchase_is_paid() -> None:
    assert await told("ONE_TIME_CHARGE") == [PAID]


async def test_what_the_app_hands_in_is_the_same_effect() -> None:
    assert await apple().claim(an_order("apple"), STORE.sign(BOUGHT)) == [PAID]


async def test_a_refund_is_of_a_share() -> None:
    at = BOUGHT["purchaseDate"] + 5
    part = await told("REFUND", revocationDate=at, revocationPercentage=30_000)
    assert part == [PAID, Effect("apple", PAID.object, Kind.REFUNDED, at, ORDER, share=30_000)]
    assert (await told("REVOKE", revocationDate=at))[1] == Effect(
        "apple", PAID.object, Kind.REFUNDED, at, ORDER, share=100_000
    )


async def test_a_refund_that_is_reversed_counts_no_more_and_one_after_it_does() -> None:
    order = add(an_order("apple"), PAID)
    at = BOUGHT["purchaseDate"] + 5
    for effect in await told("REFUND", revocationDate=at, revocationPercentage=50_000):
        order = add(order, effect)  # type: ignore[arg-type]
    assert [(refund.amount, refund.counts) for refund in order.refunds.values()] == [(99, True)]
    for effect in await told("REFUND_REVERSED"):
        order = add(order, effect)  # type: ignore[arg-type]
    assert [refund.counts for refund in order.refunds.values()] == [False]
    for effect in await told("REFUND", revocationDate=now_ms() + 60_000, revocationPercentage=100_000):
        order = add(order, effect)  # type: ignore[arg-type]
    assert [(refund.amount, refund.counts) for refund in order.refunds.values()] == [(199, True)]


async def test_a_refund_of_nothing_takes_nothing_back() -> None:
    """An effect without a share would be one of everything."""
    assert await told("REFUND", revocationDate=5, revocationPercentage=0) == [PAID]


async def test_a_refund_that_does_not_say_when_is_refused() -> None:
    with pytest.raises(BadWebhook) as caught:
        await told("REFUND")
    assert caught.value.reason == Reason.MALFORMED


@pytest.mark.parametrize("kind", ["TEST", "REFUND_DECLINED", "DID_RENEW", "SOMETHING_NEW"])
async def test_what_means_nothing_for_an_order_is_taken_and_left(kind: str) -> None:
    assert await told(kind) == []
    assert list(await apple().verify(body(kind), {}, now_ms())) == []


@pytest.mark.parametrize(
    ("order", "more"),
    [
        (an_order("apple", id=ORDER[:-1] + "e"), {}),
        (an_order("stripe"), {}),
        (an_order("apple", package="coins-200"), {}),
        (an_order("apple", package=""), {}),
        (an_order("apple"), {"productId": "coins.200"}),
        (an_order("apple"), {"quantity": 2}),
        (an_order("apple"), {"quantity": 0}),
        (an_order("apple"), {"type": "Non-Consumable"}),
        (an_order("apple"), {"inAppOwnershipType": "FAMILY_SHARED"}),
        (an_order("apple"), {"appAccountToken": ""}),
    ],
)
@pytest.mark.parametrize("kind", ["ONE_TIME_CHARGE", "REFUND_REVERSED", "CONSUMPTION_REQUEST"])
async def test_what_is_not_what_was_ordered_issues_nothing(kind: str, order: Order, more: dict[str, Any]) -> None:
    with pytest.raises(BadWebhook) as caught:
        await told(kind, order, **more)
    assert caught.value.reason == Reason.MISMATCH
    with pytest.raises(BadReceipt, match="mismatch"):
        await apple(order).claim(order, STORE.sign(BOUGHT | more))


@pytest.mark.parametrize("sent", [b"", b"{}", b"[]", b"\xff", b'{"signedPayload": 1}', b"[" * 100_000])
async def test_a_body_that_is_none_is_refused(sent: bytes) -> None:
    with pytest.raises(BadWebhook) as caught:
        await apple().verify(sent, {}, now_ms())
    assert caught.value.reason == Reason.MALFORMED


async def test_a_receipt_of_another_store_is_refused() -> None:
    with pytest.raises(BadReceipt, match="unsigned"):
        await apple().claim(an_order("apple"), Store().sign(BOUGHT))


async def test_only_packages_with_a_product_are_sold() -> None:
    order = an_order("apple")
    assert await apple().create(order, "") == ("", "", order.expires)
    with pytest.raises(ProviderRefused):
        await apple().create(an_order("apple", package=""), "")
    with pytest.raises(ProviderRefused):
        await apple().refund(order, 199, "k")


async def test_a_request_for_consumption_is_a_question_with_an_end() -> None:
    paid, asked = await told("CONSUMPTION_REQUEST")
    assert paid == PAID
    assert isinstance(asked, RefundRequest)
    assert (asked.order, asked.token, asked.reference) == (ORDER, BOUGHT["transactionId"], PAID.reference)
    assert asked.until - asked.at == ANSWER_WITHIN == 12 * 3_600_000


@pytest.mark.parametrize(
    ("unspent", "share", "preference"),
    [(100, 0, "GRANT_FULL"), (67, 33_000, "GRANT_PRORATED"), (0, 100_000, "DECLINE")],
)
async def test_the_share_used_up_is_answered(unspent: int, share: int, preference: str) -> None:
    async with HttpServer(lambda _: (202, b"")) as server:
        by = apple(url=server.url)
        request = RefundRequest("apple", "n1", ORDER, PAID.reference, 1, 2, "2000000000000001")
        await by.answer_refund_request(request, Facts(an_order("apple", issued=True), unspent, 100))
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("PUT", "/inApps/v2/transactions/consumption/2000000000000001")
    assert asked.json == {
        "customerConsented": True,
        "consumptionPercentage": share,
        "deliveryStatus": "DELIVERED",
        "refundPreference": preference,
        "sampleContentProvided": False,
    }
    claims = jwt.decode(
        asked.headers["authorization"].removeprefix("Bearer "),
        STORE.leaf.key.public_key(),
        algorithms=["ES256"],
        audience="appstoreconnect-v1",
    )
    assert (claims["iss"], claims["bid"]) == ("issuer", BUNDLE)
    assert claims["exp"] - claims["iat"] <= 3600


async def test_nothing_is_said_of_a_user_without_consent() -> None:
    async with HttpServer(lambda _: (202, b"")) as server:
        request = RefundRequest("apple", "n1", ORDER, "", 1, 2, "2")
        with pytest.raises(ProviderRefused, match="consent"):
            await apple(url=server.url, consent=False).answer_refund_request(request, Facts(an_order("apple"), 1, 1))
    assert server.asked == []


async def test_the_history_of_notifications_is_read_page_by_page_and_one_that_is_wrong_hides_no_other() -> None:
    refund = STORE.body("REFUND", BOUGHT | {"revocationDate": now_ms()})
    strange = [Store().body("REFUND", BOUGHT), STORE.body("ONE_TIME_CHARGE", BOUGHT | {"productId": "x"})]
    pages = [
        {"notificationHistory": [{"signedPayload": one} for one in strange], "hasMore": True, "paginationToken": "p2"},
        {"notificationHistory": [{"signedPayload": refund}, {"other": 1}, 7], "hasMore": False},
    ]

    def answer(asked: Asked) -> Answer:
        return 200, pages[asked.query.get("paginationToken") == "p2"]

    async with HttpServer(answer) as server:
        found = await apple(an_order("apple"), url=server.url).reconcile(5)
    assert [effect.kind for effect in found if isinstance(effect, Effect)] == [Kind.PAID, Kind.REFUNDED]
    assert [(asked.method, asked.path) for asked in server.asked] == [("POST", "/inApps/v1/notifications/history")] * 2
    assert server.asked[0].json["startDate"] == 5


async def test_a_history_without_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gifting.economy.providers.apple.api.PAGES_MAX", 3)
    async with HttpServer(lambda _: (200, {"hasMore": True, "paginationToken": "p"})) as server:
        with pytest.raises(ProviderFailed, match="more than 3 pages"):
            await apple(url=server.url).reconcile(0)
