"""Stripe: webhooks signed by the official library, and its API as stripe-mock answers by Stripe's own document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from msgspec.structs import replace

from gifting import config
from gifting.economy.payers.base import PayerRefused
from gifting.economy.providers.base import ProviderRefused, Reason
from gifting.economy.providers.stripe_events import ORDER, PAYOUT, SIGNIFICANT, WITHDRAWAL
from gifting.errors import BadSetting, BadWebhook, ProviderFailed
from gifting.model.consequences import overpaid, payment
from gifting.model.creator import Destination
from gifting.model.currencies import Money
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Order, add
from gifting.model.payouts import Payout, PayoutMismatch
from tests.support.stripe_mock import build_stripe_mock, stripe_mock

pytest.importorskip("stripe", reason="the extra stripe is not installed")

from stripe import WebhookSignature

from gifting.economy.payers.stripe import Stripe as Payer
from gifting.economy.payers.stripe_moves import Transfer
from gifting.economy.providers.stripe import Stripe, make

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
"""What the library's own requests warn of."""

NEW, OLD, AT = "whsec_new", "whsec_old", 1_700_000_000
ORDER_ID = "018bcfe5-6800-7000-8000-00000000000f"


def order(**more: Any) -> Order:
    usual: dict[str, Any] = {
        "id": ORDER_ID,
        "user": "ann",
        "digest": b"",
        "provider": "stripe",
        "region": "DE",
        "currency": "EUR",
        "price": 499,
        "coins": 500,
        "created": AT * 1000,
        "expires": (AT + 3600) * 1000,
    }
    return Order(**usual | more)


def event(type_: str, seen: dict[str, Any], **more: Any) -> bytes:
    usual = {"id": "evt_1", "object": "event", "type": type_, "created": AT, "livemode": False, "api_version": "x"}
    return json.dumps({**usual, "data": {"object": seen}, "pending_webhooks": 1, **more}).encode()


def session(**more: Any) -> dict[str, Any]:
    usual = {"id": "cs_1", "object": "checkout.session", "created": AT, "payment_status": "paid", "amount_total": 499}
    return {**usual, "currency": "eur", "payment_intent": "pi_1", "metadata": {ORDER: ORDER_ID}, **more}


def money(**more: Any) -> dict[str, Any]:
    usual = {"id": "re_1", "object": "refund", "created": AT + 9, "amount": 200, "currency": "eur"}
    return {**usual, "status": "succeeded", "payment_intent": "pi_1", "metadata": {ORDER: ORDER_ID}, **more}


async def told(provider: Stripe, body: bytes, secret: str = NEW, at: int = AT, now: int = AT) -> list[Any]:
    header = WebhookSignature.generate_signature_header(body.decode(), secret, at)
    return list(await provider.verify(body, {"stripe-signature": header}, now * 1000))


@asynccontextmanager
async def a_stripe(key: str = "sk_test_1", account: str = "", api: str = "http://127.0.0.1:9") -> AsyncIterator[Stripe]:
    provider = Stripe(key, (NEW, OLD), account, api)
    try:
        yield provider
    finally:
        await provider.close()


@pytest.fixture
async def provider() -> AsyncIterator[Stripe]:
    async with a_stripe() as made:
        yield made


@pytest.mark.parametrize(
    ("type_", "seen", "kind", "amount"),
    [
        ("checkout.session.completed", session(), Kind.PAID, 499),
        ("checkout.session.completed", session(payment_status="unpaid"), Kind.PAYING, 499),
        ("checkout.session.async_payment_succeeded", session(), Kind.PAID, 499),
        ("checkout.session.async_payment_failed", session(payment_status="unpaid"), Kind.FAILED, 499),
        ("checkout.session.expired", session(payment_status="unpaid", payment_intent=None), Kind.EXPIRED, 499),
        ("refund.created", money(), Kind.REFUNDED, 200),
        ("refund.created", money(status="pending"), Kind.REFUNDED, 200),
        ("refund.updated", money(), Kind.REFUNDED, 200),
        ("refund.updated", money(status="canceled"), Kind.REFUND_FAILED, 200),
        ("refund.failed", money(status="failed"), Kind.REFUND_FAILED, 200),
        ("charge.dispute.created", money(id="du_1", status="needs_response"), Kind.DISPUTED, 200),
        ("charge.dispute.closed", money(id="du_1", status="won"), Kind.DISPUTE_WON, 200),
        ("charge.dispute.closed", money(id="du_1", status="lost"), Kind.DISPUTE_LOST, 200),
        ("charge.dispute.funds_withdrawn", money(id="du_1", status="under_review"), Kind.DISPUTED, 200),
        ("charge.dispute.funds_reinstated", money(id="du_1", status="under_review"), Kind.DISPUTE_WON, 200),
        ("radar.early_fraud_warning.created", money(id="issfr_1"), Kind.FRAUD_WARNING, 0),
        ("review.closed", money(id="prv_1", reason="approved"), Kind.WARNING_CLEARED, 0),
    ],
)
async def test_what_an_event_means(provider: Stripe, type_: str, seen: dict[str, Any], kind: Kind, amount: int) -> None:
    (effect,) = await told(provider, event(type_, seen))
    assert (effect.kind, effect.object, effect.order) == (kind, seen["id"], ORDER_ID)
    assert effect.at == seen["created"] * 1000, "the object's own time, so that every event about it is one effect"
    assert (effect.amount, effect.currency) == ((amount, "EUR") if amount else (0, ""))
    assert effect.reference == ("stripe:pi_1" if seen["payment_intent"] else "")


@pytest.mark.parametrize(
    ("type_", "seen"),
    [
        ("customer.created", {"id": "cus_1"}),
        ("checkout.session.completed", session(metadata={}, amount_total=None, currency=None)),
        ("charge.dispute.created", money(status="warning_needs_response")),
        ("charge.dispute.closed", money(status="warning_closed")),
        ("review.closed", money(reason="disputed")),
        ("refund.created", money(metadata={}, payment_intent=None)),
    ],
)
async def test_what_is_none_of_our_business_means_nothing(provider: Stripe, type_: str, seen: dict[str, Any]) -> None:
    assert await told(provider, event(type_, seen)) == []


async def test_a_withdrawals_refund_says_which_it_is(provider: Stripe) -> None:
    (effect,) = await told(provider, event("refund.created", money(metadata={ORDER: ORDER_ID, WITHDRAWAL: "w1"})))
    assert effect.withdrawal == "w1"


@pytest.mark.attack
@pytest.mark.parametrize(
    ("body", "how", "reason"),
    [
        (event("refund.created", money()), {"secret": "whsec_else"}, Reason.UNSIGNED),
        (event("refund.created", money()), {"at": AT - 301}, Reason.STALE),
        (event("refund.created", money()), {"at": AT + 301}, Reason.STALE),
        (event("refund.created", money()), {"at": AT + 11 * 86400}, Reason.STALE),
        (event("refund.created", money(), livemode=True), {}, Reason.MODE),
        (event("refund.created", money(), account="acct_other"), {}, Reason.FOREIGN),
        (b"{}", {}, Reason.MALFORMED),
        (b"nothing", {}, Reason.MALFORMED),
        (event("checkout.session.completed", session(amount_total=None)), {}, Reason.MALFORMED),
        (event("refund.created", money(amount="200")), {}, Reason.MALFORMED),
        (event("refund.created", {"id": "re_1"}), {}, Reason.MALFORMED),
    ],
)
async def test_what_is_refused_says_why(provider: Stripe, body: bytes, how: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(BadWebhook) as caught:
        await told(provider, body, **how)
    assert caught.value.reason == reason


@pytest.mark.attack
async def test_bytes_that_are_no_text_are_unsigned(provider: Stripe) -> None:
    with pytest.raises(BadWebhook) as caught:
        await provider.verify(b"\xff\xfe", {"stripe-signature": f"t={AT},v1=00"}, AT * 1000)
    assert caught.value.reason == Reason.UNSIGNED


async def test_every_secret_is_believed_while_they_are_rolled_and_a_live_key_wants_live_events() -> None:
    body = event("refund.created", money(), livemode=True, account="acct_1")
    async with a_stripe("sk_live_1", "acct_1") as provider:
        assert await told(provider, body, OLD) == await told(provider, body, NEW)
        for other in (event("refund.created", money(), account="acct_1"), event("x", {}, livemode=True)):
            with pytest.raises(BadWebhook):
                await told(provider, other)


@asynccontextmanager
async def an_api(answer: dict[str, Any], status: str = "200 OK") -> AsyncIterator[tuple[str, list[str]]]:
    """An API that answers everything alike, and what it was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode().partition(" HTTP")[0])
        length, key = 0, ""
        while line := (await reader.readline()).strip().lower():
            length = int(line.partition(b":")[2]) if line.startswith(b"content-length") else length
            key = line.partition(b": ")[2].decode() if line.startswith(b"idempotency-key") else key
        if length:
            asked[-1] += f" {unquote((await reader.readexactly(length)).decode())} {key}"
        body = json.dumps(answer).encode()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()


async def test_a_dispute_is_placed_by_its_payment_which_alone_names_the_order() -> None:
    body = event("charge.dispute.created", money(id="du_1", status="needs_response", metadata={}))
    payment = {"id": "pi_1", "object": "payment_intent", "metadata": {ORDER: ORDER_ID}}
    async with an_api(payment) as (address, asked), a_stripe(api=address) as provider:
        (effect,) = await told(provider, body)
    assert (effect.kind, effect.order, asked) == (Kind.DISPUTED, ORDER_ID, ["GET /v1/payment_intents/pi_1"])
    async with an_api({**payment, "metadata": {}}) as (address, _), a_stripe(api=address) as provider:
        assert await told(provider, body) == []


async def test_an_answer_that_does_not_come_is_no_no(provider: Stripe) -> None:
    for status, error in (
        ("400 Bad Request", ProviderRefused),
        ("401 Unauthorized", ProviderFailed),
        ("409 Conflict", ProviderFailed),
    ):
        async with an_api({"error": {"code": "nope"}}, status) as (address, _), a_stripe(api=address) as asked:
            with pytest.raises(ProviderFailed) as caught:
                await asked.create(order(), "https://here.example/")
        assert type(caught.value) is error
    with pytest.raises(ProviderRefused):
        await provider.refund(order(), 100, "w1")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [("200 OK", "", None), ("400 x", "charge_already_refunded", None), ("400 x", "charge_disputed", ProviderRefused)],
)
async def test_a_payment_that_came_twice_goes_back_by_its_own_intent(
    status: str, code: str, error: type[Exception] | None
) -> None:
    first, second = [
        event("checkout.session.completed", session(id=f"cs_{n}", payment_intent=f"pi_{n}")) for n in (1, 2)
    ]
    answer = {"error": {"code": code}} if code else {"id": "re_1", "object": "refund"}
    async with an_api(answer, status) as (address, asked), a_stripe(api=address) as provider:
        (one,), (two,) = await told(provider, first), await told(provider, second)
        found = add(add(order(), replace(two, at=two.at + 1)), one)
        assert (payment(found), overpaid(found)) == ("cs_1", ["cs_2"])
        with nullcontext() if error is None else pytest.raises(error):
            await provider.give_back(found, "cs_2")
    body = f"payment_intent=pi_2&amount=499&reason=duplicate&metadata[{ORDER}]={ORDER_ID}"
    assert asked == [f"POST /v1/refunds {body} gifting-{ORDER_ID}-twice-cs_2"]


async def test_the_list_of_events_says_what_no_webhook_said() -> None:
    found = [
        json.loads(event("checkout.session.completed", session())),
        json.loads(event("checkout.session.expired", session(), livemode=True)),
    ]
    listed = {"object": "list", "has_more": False, "url": "/v1/events", "data": found}
    async with an_api(listed) as (address, asked), a_stripe(api=address) as provider:
        (effect,) = await provider.reconcile(AT * 1000)
    assert isinstance(effect, Effect) and (effect.kind, effect.order) == (Kind.PAID, ORDER_ID)
    assert asked[0].startswith("GET /v1/events?") and f"{AT}" in asked[0] and "checkout.session.completed" in asked[0]


def transaction(name: str, category: str, amount: int, source: Any) -> dict[str, Any]:
    money = {"amount": amount, "fee": 0, "net": amount, "currency": "eur", "fee_details": []}
    seen = {"id": name, "object": "balance_transaction", "created": AT, "reporting_category": category}
    return {**seen, **money, "source": source}


async def test_what_was_settled_is_its_balance_of_orders_of_ours() -> None:
    """A dispute is placed by its payment; a stranger's charge and transfers of no payout are left out."""
    named: dict[str, Any] = {"metadata": {ORDER: ORDER_ID}, "payment_intent": "pi_1"}
    bare: dict[str, Any] = {"metadata": {}, "payment_intent": None}
    ours: dict[str, Any] = {"metadata": {PAYOUT: "payout-1"}}
    found = [
        transaction("txn_1", "charge", 499, {"id": "ch_1", "object": "charge", **named}),
        transaction("txn_2", "charge", 77, {"id": "ch_2", "object": "charge", **bare}),
        transaction("txn_3", "payout", -400, {"id": "po_1", "object": "payout"}),
        transaction("txn_4", "transfer", -5, {"id": "tr_1", "object": "transfer"}),
        transaction("txn_5", "fee", -2, None),
        transaction("txn_7", "transfer", -60, {"id": "tr_2", "object": "transfer", **ours}),
        transaction("txn_8", "transfer_reversal", 60, {"id": "trr_2", "object": "transfer_reversal", **ours}),
        transaction("txn_6", "dispute", -499, {"id": "du_1", "object": "dispute", **bare, "payment_intent": "pi_1"}),
    ]
    listed = {"object": "list", "has_more": False, "url": "/v1/balance_transactions", "data": found}
    async with an_api({**listed, "metadata": {ORDER: ORDER_ID}}) as (address, asked), a_stripe(api=address) as provider:
        rows, following = await provider.settlements(AT * 1000, (AT + 60) * 1000, "")
    assert not following
    assert [(row.reference, row.kind, row.net, row.order_id, row.batch) for row in rows] == [
        ("txn_1", "payment", 499, ORDER_ID, ""),
        ("txn_3", "payout", -400, "", "po_1"),
        ("txn_5", "fee", -2, "", ""),
        ("txn_7", "transfer", -60, "payout-1", ""),
        ("txn_8", "transfer", 60, "payout-1", ""),
        ("txn_6", "dispute", -499, ORDER_ID, ""),
    ]
    assert asked[0].startswith("GET /v1/balance_transactions?") and f"{AT}" in asked[0]
    assert asked[1:] == ["GET /v1/payment_intents/pi_1"]


async def test_what_moved_is_asked_for_a_page_at_a_time() -> None:
    found = [transaction(f"txn_{number}", "payout", -400, {"id": "po_1", "object": "payout"}) for number in (2, 1)]
    listed = {"object": "list", "has_more": True, "url": "/v1/balance_transactions", "data": found}
    async with an_api(listed) as (address, asked), a_stripe(api=address) as provider:
        page = await provider.settlements(AT * 1000, (AT + 60) * 1000, "txn_9")
    assert (len(page.rows), page.next) == (2, "txn_1")
    assert "starting_after=txn_9" in asked[0] and f"{AT + 60}" in asked[0]


async def test_what_stripe_counts_in_hundredths_is_counted_in_units_here() -> None:
    """Krónur have no minor unit, and are hundredths to Stripe; yen have none for both."""
    for currency, factor in (("ISK", 100), ("UGX", 100), ("JPY", 1), ("MGA", 1)):
        one, answer = (
            order(currency=currency, price=700),
            {"id": "cs_1", "object": "checkout.session", "url": "x", "expires_at": 1},
        )
        paid = session(amount_total=700 * factor, currency=currency.lower())
        async with an_api(answer) as (address, asked), a_stripe(api=address) as provider:
            await provider.create(one, "https://here.example/")
            (effect,) = await told(provider, event("checkout.session.completed", paid))
            await provider.refund(add(one, effect), 300, "w1")
        assert f"[unit_amount]={700 * factor}&" in asked[0]
        assert (effect.amount, effect.currency) == (700, currency)
        assert f"&amount={300 * factor}&" in asked[1]
        assert str(Money(700, currency)) == f"700 {currency}"


async def test_it_takes_nothing_below_its_least(provider: Stripe) -> None:
    leasts = {currency: provider.least(currency) for currency in ("USD", "EUR", "GBP", "JPY", "BRL", "KRW", "XPF")}
    assert leasts == {"USD": 50, "EUR": 50, "GBP": 30, "JPY": 50, "BRL": 50, "KRW": 800, "XPF": 0}


def test_a_key_and_secrets_are_needed() -> None:
    for settings in ({}, {"stripe_key": "sk_test_1"}, {"stripe_key": "pk_test_1", "stripe_webhook_secrets": NEW}):
        with pytest.raises(BadSetting):
            make(_Parts(config.load(settings, environ={})))  # type: ignore[arg-type]


class _Parts:
    def __init__(self, settings: config.Settings) -> None:
        self.settings = settings


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stripe_mock(build_stripe_mock(Path(tmp_path_factory.mktemp("stripe-mock")))) as address:
        yield address


@pytest.mark.slow
async def test_what_payouts_ask_is_what_stripes_own_document_has(mock: str) -> None:
    """Its examples are of other money than was asked for, which is refused here; what it does not know, it refuses."""
    payout = Payout(
        id=ORDER_ID,
        host="host",
        digest=b"",
        provider="stripe",
        account="acct_1Example",
        diamonds=1,
        amount=100,
        currency="USD",
        created=AT * 1000,
        sending_at=1,
    )
    payer = Payer("sk_test_1", (NEW,), lambda: AT * 1000, mock)
    try:
        to = Destination("stripe", payout.account, 0, 0)
        assert await payer.identity("host", to) == "none", "its account does not name us"
        with suppress(PayoutMismatch):
            await payer._transfer(payout)
        with suppress(PayoutMismatch):
            await payer._make_transfer(payout)
        transfer = Transfer("tr_1", 100, 0, "usd", AT, reversed=False)
        assert await payer._bank(payout, transfer) is None
        with suppress(PayoutMismatch):
            await payer._pay_out(payout)
        assert await payer._reverse(payout, transfer)
        await payer._check_balance(replace(payout, amount=0))
        with pytest.raises(PayerRefused):
            await payer._pay_out(replace(payout, amount="much"))
    finally:
        await payer.close()


@pytest.mark.slow
async def test_what_is_asked_is_what_stripes_own_document_has(mock: str) -> None:
    async with a_stripe(api=mock) as provider:
        checkout = await provider.create(order(), "https://here.example/")
        assert checkout.reference.startswith("stripe:cs_")
        await provider.refund(order(references=("stripe:cs_1", "stripe:pi_1")), 100, "w1")
        assert await provider.reconcile(AT * 1000) == []
        assert (await provider.settlements(AT * 1000, (AT + 60) * 1000, "")).rows == []  # of no order of ours
        assert len(SIGNIFICANT) <= 20, "Stripe lists events of so many types at most"
        with pytest.raises(ProviderRefused):
            await provider.refund(order(references=("stripe:pi_1",)), "much", "w1")  # type: ignore[arg-type]
