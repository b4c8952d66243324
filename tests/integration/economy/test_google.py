"""Google Play: what is pushed or handed in is looked up, and what is bought is consumed before it is given back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

pytest.importorskip("google.auth")

from gifting.economy.providers.base import Facts, ProviderRefused, Reason, RefundRequest, Told
from gifting.economy.providers.google.access import Access
from gifting.economy.providers.google.play import Play as Api
from gifting.economy.providers.google.provider import VOIDED_BACK, Google
from gifting.economy.providers.google.push import Certificates, Pusher
from gifting.economy.providers.google.told import ANSWER_WITHIN
from gifting.economy.providers.remote import Remote
from gifting.errors import BadReceipt, BadSetting, BadWebhook, ProviderFailed
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Order, Withdrawal, add
from tests.support.play import AUDIENCE, PACKAGE, PUSHER, Play, a_purchase, bought_push, push, push_token
from tests.support.shelf import ORDER, PRODUCT, a_shelf, an_order
from tests.support.world import World

PAID_AT = 1_795_723_200_123
PAID = Effect("google", "GPA.1", Kind.PAID, PAID_AT, ORDER, "google:GPA.1")
ORDERED = an_order("google")
BOUGHT = add(ORDERED, PAID)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gifting.economy.providers.remote.PAUSES", (0.0,))


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    async with Play() as made:
        yield made


def google(play: Play, world: World, *orders: Order, live: bool = True) -> Google:
    url = play.server.url
    api = Api(Remote("Google", url), Access(play.account), PACKAGE)
    pusher = Pusher(Certificates(Remote("Google", url)), AUDIENCE, PUSHER)
    shelf = a_shelf(*(orders or (ORDERED,)))
    return Google(api, pusher, shelf, world.ledger.deliveries, PACKAGE, live=live)


async def pushed(by: Google, body: bytes, authorization: str = "") -> list[Told]:
    headers = {"authorization": authorization or push_token()}
    return list(await by.verify(body, headers, round(time.time() * 1000)))


async def refusal(by: Google, body: bytes) -> str:
    with pytest.raises(BadWebhook) as caught:
        await pushed(by, body)
    return caught.value.reason


async def test_a_purchase_that_is_pushed_or_handed_in_is_the_same_effect(play: Play, world: World) -> None:
    by = google(play, world)
    assert await pushed(by, bought_push()) == [PAID]
    assert await pushed(by, bought_push(at=5)) == [PAID]
    assert await by.claim(ORDERED, "t1") == [PAID]
    assert play.tokens == 1


async def test_nothing_is_looked_up_for_who_is_not_google(play: Play, world: World) -> None:
    with pytest.raises(BadWebhook):
        await pushed(google(play, world), bought_push(), push_token(email="x"))
    assert not play.asked("productsv2")


async def test_it_is_consumed_once_its_coins_are_issued_and_not_before(play: Play, world: World) -> None:
    by = google(play, world)
    await by.claim(ORDERED, "t1")
    assert not play.consumed()
    assert await world.ledger.deliveries.waiting("google") == {"google:GPA.1": (PAID_AT, [PRODUCT, "t1"])}
    await by.delivered(BOUGHT)
    assert play.consumed()
    assert await world.ledger.deliveries.waiting("google") == {}
    await by.delivered(BOUGHT)
    assert len(play.asked(":consume")) == 1


async def test_a_purchase_that_google_did_not_hear_of_is_told_again_until_it_has(play: Play, world: World) -> None:
    """Whoever dies between the coins and the call leaves the note; the worker finds it, issues nothing twice, calls."""
    by = google(play, world)
    await by.claim(ORDERED, "t1")
    play.down[":consume"] = 2
    with pytest.raises(ProviderFailed):
        await by.delivered(BOUGHT)
    again = google(play, world, BOUGHT)
    assert await again.reconcile(0) == [PAID]
    await again.delivered(BOUGHT)
    assert play.consumed()
    assert await again.reconcile(0) == []


async def test_a_consumption_whose_reply_was_lost_is_one(play: Play, world: World) -> None:
    by = google(play, world)
    await by.claim(ORDERED, "t1")
    play.purchases["t1"]["productLineItem"][0]["productOfferDetails"]["consumptionState"] = "CONSUMPTION_STATE_CONSUMED"
    await by.delivered(BOUGHT)
    assert await world.ledger.deliveries.waiting("google") == {}


@pytest.mark.parametrize(("days", "noted"), [(2, 1), (4, 0)])
async def test_a_consumption_that_is_refused_stays_noted_while_there_is_time(
    play: Play, world: World, days: int, noted: int
) -> None:
    """And keeps nothing else from being done: the coins are issued, and who told of them has told all."""
    bought = datetime.now(UTC) - timedelta(days=days)
    play.purchases["t1"] = a_purchase(purchaseCompletionTime=bought.isoformat())
    by = google(play, world)
    await by.claim(ORDERED, "t1")
    del play.purchases["t1"]
    await by.delivered(BOUGHT)
    assert await by.reconcile(0) == []
    assert len(await world.ledger.deliveries.waiting("google")) == noted


@pytest.mark.parametrize("first", ["GPA.1", "GPA.2"])
async def test_of_an_order_that_is_paid_twice_google_hears_of_one_and_gives_the_other_back(
    play: Play, world: World, first: str
) -> None:
    """Whichever came first here: else the buyer would have paid twice for coins that are issued once."""
    play.purchases["t2"] = a_purchase(orderId="GPA.2", purchaseCompletionTime="2026-11-26T20:00:01Z")
    by = google(play, world)
    order = ORDERED
    for token in ("t1", "t2") if first == "GPA.1" else ("t2", "t1"):
        for effect in await by.claim(order, token):
            order = add(order, effect)  # type: ignore[arg-type]
        for _ in range(2):
            await by.delivered(order)
    assert len(order.payments) == 2
    assert (play.consumed("t1"), play.consumed("t2")) == (first == "GPA.1", first == "GPA.2")
    play.orders = {"GPA.1": "PROCESSED", "GPA.2": "PROCESSED"}
    await by.refund(order, 199, "w1")
    assert play.orders[first] == "REFUNDED"
    assert list(play.orders.values()).count("REFUNDED") == 1


async def test_what_google_gave_back_is_waited_for_no_more(play: Play, world: World) -> None:
    by = google(play, world)
    await by.claim(ORDERED, "t1")
    play.purchases["t1"]["purchaseStateContext"] = {"purchaseState": "CANCELLED"}
    (told,) = await by.reconcile(0)
    assert isinstance(told, Effect)
    assert told.kind is Kind.FAILED
    assert await world.ledger.deliveries.waiting("google") == {}


async def test_a_payment_that_is_pending_issues_nothing_until_it_is_made(play: Play, world: World) -> None:
    by = google(play, world)
    pending = {"purchaseStateContext": {"purchaseState": "PENDING"}, "orderId": None, "purchaseCompletionTime": None}
    play.purchases["t1"] = a_purchase(**pending)
    assert await pushed(by, bought_push(at=7)) == [Effect("google", ORDER, Kind.PAYING, 7, ORDER)]
    assert await world.ledger.deliveries.waiting("google") == {}
    play.purchases["t1"] = a_purchase()
    assert await pushed(by, bought_push()) == [PAID]


async def test_a_payment_that_was_given_up_failed(play: Play, world: World) -> None:
    play.purchases["t1"] = a_purchase(purchaseStateContext={"purchaseState": "CANCELLED"}, purchaseCompletionTime=None)
    told = await pushed(google(play, world), bought_push(kind=2, at=7))
    assert told == [Effect("google", ORDER, Kind.FAILED, 7, ORDER)]


@pytest.mark.parametrize(
    ("order", "more"),
    [
        (an_order("google", id=ORDER[:-1] + "e"), {}),
        (an_order("apple"), {}),
        (an_order("google", package="coins-200"), {}),
        (ORDERED, {"obfuscatedExternalProfileId": "x"}),
        (ORDERED, {"obfuscatedExternalProfileId": None}),
        (ORDERED, {"productLineItem": [{"productId": PRODUCT, "productOfferDetails": {"quantity": 2}}]}),
        (ORDERED, {"productLineItem": [{"productId": PRODUCT}, {"productId": PRODUCT}]}),
        (ORDERED, {"productLineItem": [{"productId": "coins.200"}]}),
    ],
)
async def test_what_is_not_what_was_ordered_issues_nothing(
    play: Play, world: World, order: Order, more: dict[str, Any]
) -> None:
    play.purchases["t1"] = a_purchase(**more)
    by = google(play, world, order)
    assert await refusal(by, bought_push()) == Reason.MISMATCH
    with pytest.raises(BadReceipt, match="mismatch"):
        await by.claim(order, "t1")
    assert await world.ledger.deliveries.waiting("google") == {}


async def test_the_order_may_be_named_by_the_account_instead(play: Play, world: World) -> None:
    play.purchases["t1"] = a_purchase(obfuscatedExternalProfileId=None, obfuscatedExternalAccountId=ORDER)
    assert await google(play, world).claim(ORDERED, "t1") == [PAID]


async def test_other_products_of_the_application_are_left_alone(play: Play, world: World) -> None:
    play.purchases["t1"] = a_purchase(obfuscatedExternalProfileId=None, productLineItem=[{"productId": "hat"}])
    by = google(play, world)
    assert await pushed(by, bought_push()) == []
    assert await pushed(by, push(subscriptionNotification={"notificationType": 4, "purchaseToken": "s"})) == []
    assert await pushed(by, push(testNotification={"version": "1.0"})) == []
    voided = {"purchaseToken": "t9", "orderId": "GPA.9", "productType": 2, "refundType": 1}
    assert await pushed(by, push(voidedPurchaseNotification=voided)) == []


async def test_test_purchases_are_of_test_mode_only(play: Play, world: World) -> None:
    assert await refusal(google(play, world, live=False), bought_push()) == Reason.MODE
    play.purchases["t1"] = a_purchase(testPurchaseContext={"fopType": "TEST"})
    assert await refusal(google(play, world), bought_push()) == Reason.MODE
    with pytest.raises(BadReceipt, match="mode"):
        await google(play, world).claim(ORDERED, "t1")
    assert await google(play, world, live=False).claim(ORDERED, "t1") == [PAID]
    play.purchases["t1"] = a_purchase(testPurchaseContext={})
    assert await refusal(google(play, world), bought_push()) == Reason.MODE


@pytest.mark.parametrize(
    "more",
    [
        {"orderId": None},
        {"purchaseStateContext": {}},
        {"purchaseStateContext": {"purchaseState": "SOMETHING"}},
        {"productLineItem": []},
        {"productLineItem": [7]},
        {"productLineItem": None},
        {"purchaseCompletionTime": "yesterday"},
    ],
)
async def test_a_purchase_that_is_not_understood_issues_nothing(play: Play, world: World, more: dict[str, Any]) -> None:
    play.purchases["t1"] = a_purchase(**more)
    assert await refusal(google(play, world), bought_push()) == Reason.MALFORMED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"[" * 100_000, Reason.MALFORMED),
        (b'{"message": {"data": "!"}}', Reason.MALFORMED),
        (b'{"message": {"data": "e30="}}', Reason.MALFORMED),
        (push(at=-1), Reason.MALFORMED),
        (push(at=2**53), Reason.MALFORMED),
        (push(oneTimeProductNotification={"notificationType": "x"}), Reason.MALFORMED),
        (push(package="com.example.other"), Reason.FOREIGN),
    ],
)
async def test_a_push_that_makes_no_sense_is_refused(play: Play, world: World, body: bytes, reason: str) -> None:
    assert await refusal(google(play, world), body) == reason


@pytest.mark.parametrize("receipt", ["", ".", "..", "x" * 3000])
async def test_what_can_be_no_receipt_is_not_asked_about(play: Play, world: World, receipt: str) -> None:
    with pytest.raises(BadReceipt):
        await google(play, world).claim(ORDERED, receipt)
    assert not play.asked("androidpublisher")


@pytest.mark.parametrize("receipt", ["t9", "../t1", "t1?x=1", "t1#x", "t1/../t1"])
async def test_a_receipt_is_one_part_of_a_path(play: Play, world: World, receipt: str) -> None:
    with pytest.raises(BadReceipt):
        await google(play, world).claim(ORDERED, receipt)


async def test_what_was_voided_is_refunded_also_when_nothing_was_pushed(play: Play, world: World) -> None:
    now = round(time.time() * 1000)
    play.page = 1
    play.voided = [
        {"purchaseToken": "t1", "orderId": "GPA.1", "voidedTimeMillis": str(now - 5), "voidedReason": 7},
        {"purchaseToken": "t9", "orderId": "GPA.9", "voidedTimeMillis": str(now - 4), "voidedReason": 0},
    ]
    by = google(play, world, BOUGHT)
    refunded = Effect("google", "GPA.1", Kind.REFUNDED, now - 5, ORDER, "google:GPA.1")
    assert await by.reconcile(0) == [refunded]
    assert [asked.query.get("token") for asked in play.asked("voided")] == [None, "1"]
    assert await by.reconcile(now - 4) == []
    voided = {"purchaseToken": "t1", "orderId": "GPA.1", "productType": 2, "refundType": 1}
    assert await pushed(by, push(at=now - 5, voidedPurchaseNotification=voided)) == [refunded]
    assert await pushed(by, push(voidedPurchaseNotification={**voided, "productType": 1})) == []
    assert VOIDED_BACK < 30 * 86_400_000


async def test_a_refund_of_ours_carries_out_the_withdrawal(play: Play, world: World) -> None:
    play.orders["GPA.1"] = "PROCESSED"
    withdrawn = replace(BOUGHT, withdrawals={"w1": Withdrawal(100, 0, 199, 5)})
    by = google(play, world, withdrawn)
    for _ in range(2):
        await by.refund(withdrawn, 199, "w1")
    assert play.orders["GPA.1"] == "REFUNDED"
    voided = {"purchaseToken": "t1", "orderId": "GPA.1", "productType": 2, "refundType": 1}
    (told,) = await pushed(by, push(voidedPurchaseNotification=voided))
    assert isinstance(told, Effect)
    assert told.withdrawal == "w1"


async def test_google_gives_back_all_or_nothing(play: Play, world: World) -> None:
    by = google(play, world, BOUGHT)
    play.orders["GPA.1"] = "PROCESSED"
    with pytest.raises(ProviderRefused):
        await by.refund(BOUGHT, 198, "w1")
    assert play.orders["GPA.1"] == "PROCESSED"
    play.orders["GPA.1"] = "CANCELED"
    with pytest.raises(ProviderRefused):
        await by.refund(BOUGHT, 199, "w1")


@pytest.mark.parametrize(
    ("unspent", "used", "says"), [(100, 0, "APPROVE"), (50, 50_000, "NEUTRAL"), (0, 100_000, "DECLINE")]
)
async def test_a_review_is_a_question_and_is_answered(
    play: Play, world: World, unspent: int, used: int, says: str
) -> None:
    by = google(play, world, BOUGHT)
    review = {"version": "1.0", "pendingRefundToken": "p1", "orderId": "GPA.1", "refundReason": 1}
    (asked,) = await pushed(by, push(at=77, pendingRefundReviewNotification=review))
    assert asked == RefundRequest("google", "GPA.1:77", ORDER, "google:GPA.1", 77, 77 + ANSWER_WITHIN, "p1")
    assert isinstance(asked, RefundRequest)
    await by.answer_refund_request(asked, Facts(replace(BOUGHT, issued=True), unspent, 100))
    assert play.reviews == [
        {
            "order": "GPA.1",
            "pendingRefundToken": "p1",
            "sampleContentProvided": False,
            "refundPreference": says,
            "consumptionPercentageMilliunits": used,
        }
    ]
    unknown = {**review, "orderId": "GPA.9"}
    assert await pushed(by, push(pendingRefundReviewNotification=unknown)) == []


async def test_a_token_that_is_over_is_got_anew(play: Play, world: World) -> None:
    by = google(play, world)
    await by.claim(ORDERED, "t1")
    play.tokens += 1  # Google forgot the first
    assert await by.claim(ORDERED, "t1") == [PAID]
    assert play.tokens == 3


async def test_a_service_account_that_may_not_is_a_failure_that_passes(play: Play, world: World) -> None:
    """Not a no: else a question of Google's would be dropped for a permission that somebody forgot to give."""
    play.answer = lambda asked: (403, {}) if "androidpublisher" in asked.path else Play.answer(play, asked)  # type: ignore[method-assign]
    play.server.answer = play.answer
    with pytest.raises(ProviderFailed) as caught:
        await google(play, world).claim(ORDERED, "t1")
    assert caught.value.temporary


@pytest.mark.parametrize("account", ["", "{}", "[]", '{"private_key": "x"}'])
def test_what_is_no_service_account_is_a_bad_setting(account: str) -> None:
    with pytest.raises(BadSetting, match="google_service_account"):
        Access(account)


async def test_only_packages_with_a_product_are_sold(play: Play, world: World) -> None:
    by = google(play, world)
    assert await by.create(ORDERED, "") == ("", "", ORDERED.expires)
    with pytest.raises(ProviderRefused):
        await by.create(an_order("google", package=""), "")
