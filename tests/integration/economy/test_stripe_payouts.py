"""Payouts by Stripe Connect: to the bank once or back once, whatever webhooks are lost or forged."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("stripe", reason="the extra stripe is not installed")

from gifting import config, errors
from gifting.economy.payers.stripe import make
from gifting.economy.providers.base import Reason
from gifting.economy.providers.stripe_events import PAYOUT
from gifting.model.creator import Destination
from gifting.model.payouts import SEND_AGAIN, State, state
from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.stripe_books import ASKED, EARNED, TERMS, Books, balance, books_of, entered, known, kyc
from tests.support.stripe_connect import ACCOUNT, KEY, SECRET, Connect, No, an_account
from tests.support.waiting import WITHIN
from tests.support.world import World

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
"""What the library's own requests warn of."""


async def test_from_diamonds_to_the_bank(books: Books, world: World, connect: Connect) -> None:
    made = await books.request()
    await books.payouts.resume()
    found = await world.ledger.payouts.get(made.id)
    assert (state(found), found.sent_at > 0, found.references) == (State.PROCESSING, True, ("stripe:tr_1",))
    (transfer,), (bank,) = connect.transfers, connect.payouts
    assert (transfer["amount"], transfer["currency"], transfer["destination"]) == (100, "usd", ACCOUNT)
    assert (transfer["transfer_group"], bank["metadata"]) == (made.id, {PAYOUT: made.id})
    assert (bank["amount"], bank["account"], await books.told_of_payouts("payout.created")) == (100, ACCOUNT, 0)
    connect.settle("paid")
    assert [await books.told_of_payouts("payout.paid") for _ in range(3)] == [1, 0, 0]
    found = await world.ledger.payouts.get(made.id)
    assert (state(found), found.references) == (State.PAID, ("stripe:po_1", "stripe:tr_1"))
    assert (await entered(world), await balance(world), connect.out) == ([ASKED], EARNED - ASKED, 100)


async def test_without_any_webhook_the_reconciliation_finds_it(books: Books, world: World, connect: Connect) -> None:
    made = await books.request()
    await books.days()
    connect.settle("paid")
    await books.days()
    assert state(await world.ledger.payouts.get(made.id)) is State.PAID


@pytest.mark.parametrize("paid_first", [False, True])
async def test_what_fails_at_the_bank_is_transferred_back_before_the_diamonds_are(
    books: Books, world: World, connect: Connect, paid_first: bool
) -> None:
    made = await books.request()
    await books.days()
    if paid_first:
        connect.settle("paid")
        await books.told_of_payouts("payout.paid")
    connect.settle("failed", "the account is closed")
    connect.refuses["POST /v1/transfers/tr_1/reversals"] = No("", 500)
    with pytest.raises(errors.ProviderFailed):
        await books.told_of_payouts("payout.failed")
    assert await balance(world) == EARNED - ASKED, "the money is not back yet"
    connect.refuses.clear()
    assert [await books.told_of_payouts("payout.failed") for _ in range(2)] == [1, 0]
    await books.told_of_payouts("payout.paid")
    found = await world.ledger.payouts.get(made.id)
    assert state(found) is (State.RETURNED if paid_first else State.FAILED)
    assert (found.reason, connect.out, await balance(world)) == ("the account is closed", 0, EARNED)
    assert await entered(world) == [ASKED, -ASKED]


async def test_what_can_not_be_transferred_back_is_stuck_until_it_can(
    books: Books, world: World, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    made = await books.request()
    await books.days()
    connect.settle("failed", "the account is closed")
    connect.spend()
    assert [await books.told_of_payouts("payout.failed") for _ in range(2)] == [1, 0]
    found = await world.ledger.payouts.get(made.id)
    assert (state(found), await balance(world), found.stuck_at > 0) == (State.PROCESSING, EARNED - ASKED, True)
    assert "has not got it any more" in found.reason and "did not arrive" in caplog.text
    connect.held[ACCOUNT, "USD"] = 100
    await books.days()
    assert state(await world.ledger.payouts.get(made.id)) is State.FAILED
    assert (await entered(world), connect.out) == ([ASKED, -ASKED], 0)


async def test_what_the_bank_never_takes_goes_back_and_is_not_tried_anew_once_stuck(
    books: Books, world: World, connect: Connect
) -> None:
    connect.refuses["POST /v1/payouts"] = No("payouts_not_allowed")
    connect.refuses["POST /v1/transfers/"] = No("balance_insufficient")
    made = await books.request()
    await books.days()
    found = await world.ledger.payouts.get(made.id)
    assert (found.stuck_at > 0, found.sent_at > 0) == (True, True), "looked at hourly from now on"
    connect.refuses.clear()
    connect.done.clear()
    await books.days()
    assert (state(await world.ledger.payouts.get(made.id)), connect.payouts) == (State.FAILED, [])
    assert connect.out == 0


REFUSED: dict[str, dict[str, Any]] = {
    "requirements.past_due": {"payouts_enabled": False, "requirements": {"disabled_reason": "requirements.past_due"}},
    "individual.dob": {"payouts_enabled": False, "requirements": {"currently_due": ["individual.dob"]}},
    "not enabled": {"capabilities": {"transfers": "inactive"}},
    "not manual": {"settings": {"payouts": {"schedule": {"interval": "daily"}}}},
    "the creator's": {"metadata": {}},
}


@pytest.mark.parametrize("why", REFUSED)
async def test_nothing_is_sent_to_an_account_that_can_not_be_paid(
    books: Books, world: World, connect: Connect, why: str
) -> None:
    made = await books.request()
    connect.accounts[ACCOUNT] = an_account(**REFUSED[why])
    await books.days()
    found = await world.ledger.payouts.get(made.id)
    assert (state(found), connect.transfers) == (State.FAILED, []) and why in found.reason
    assert (await entered(world), await balance(world)) == ([ASKED, -ASKED], EARNED)


async def test_an_account_that_is_gone_is_refused_and_is_nobodys(books: Books, world: World, connect: Connect) -> None:
    made = await books.request()
    connect.accounts.clear()
    await books.days()
    assert state(await world.ledger.payouts.get(made.id)) is State.FAILED
    await books.payouts.identities.ask("host")
    assert await kyc(world) == "none"


async def test_an_empty_platform_waits_for_money(books: Books, world: World, connect: Connect) -> None:
    made = await books.request()
    connect.balance["USD"] = 99
    await books.days()
    assert (state(await world.ledger.payouts.get(made.id)), connect.transfers) == (State.PROCESSING, [])
    connect.balance["USD"] = 100
    await books.days()
    assert len(connect.payouts) == 1


async def test_stripes_no_to_an_empty_platform_is_not_the_end(books: Books, world: World, connect: Connect) -> None:
    """Another process sent the last of it after the balance was asked."""
    connect.refuses["POST /v1/transfers"] = No("balance_insufficient")
    made = await books.request()
    await books.days()
    assert state(await world.ledger.payouts.get(made.id)) is State.PROCESSING
    connect.refuses.clear()
    await books.days()
    assert connect.transfers == [], "Stripe keeps its no for a day"
    connect.done.clear()
    await books.days()
    assert len(connect.payouts) == 1


async def test_a_transfer_is_looked_for_when_stripe_has_forgotten_the_key(
    books: Books, world: World, connect: Connect
) -> None:
    connect.forgets = True
    made = await books.request()
    for _ in range(3):
        await books.stripe.send(await world.ledger.payouts.get(made.id))
    assert (len(connect.transfers), len(connect.payouts)) == (1, 1)


async def test_what_went_to_the_bank_and_is_not_found_is_not_sent_there_again(
    books: Books, world: World, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody took our name off it at Stripe. The account has the money of other payouts, too."""
    made = await books.request()
    await books.days()
    connect.payouts[0]["metadata"], connect.held[ACCOUNT, "USD"] = {}, 1_000
    connect.done.clear()
    await books.days(2)
    assert (len(connect.payouts), connect.out) == (1, 100) and "is not found" in caplog.text
    assert state(await world.ledger.payouts.get(made.id)) is State.PROCESSING


@pytest.mark.attack
@pytest.mark.parametrize("type_", ["payout.paid", "payout.failed"])
async def test_a_webhook_is_believed_only_if_it_is_stripes_and_about_this_account(
    books: Books, world: World, connect: Connect, type_: str
) -> None:
    made = await books.request()
    await books.days()
    (bank,) = connect.payouts
    good = connect.event(type_, bank)
    connect.accounts["acct_2eve"] = an_account("acct_2eve", "eve")
    for body, signed, reason in (
        (good, {"secret": "whsec_else"}, Reason.UNSIGNED),
        (good, {"at": int(connect.now()) - 301}, Reason.STALE),
        (good, {"at": int(connect.now()) + 301}, Reason.STALE),
        (connect.event(type_, bank, livemode=True), {}, Reason.MODE),
        (connect.event(type_, bank, "acct_2eve"), {}, Reason.FOREIGN),
        (connect.event(type_, bank, None), {}, Reason.FOREIGN),
        (connect.event("account.updated", an_account(), "acct_2eve"), {}, Reason.FOREIGN),
        (connect.event(type_, {"object": "payout"}), {}, Reason.MALFORMED),
        (b"{}", {}, Reason.MALFORMED),
    ):
        before = books.news.refused[reason]
        with pytest.raises(errors.BadWebhook) as caught:
            await books.told(body, **signed)
        assert caught.value.reason == reason and books.news.refused[reason] == before + 1
    assert await books.told(good) == 0, "it says that something happened, and nothing did"
    with pytest.raises(errors.PayoutNotFound):
        await books.told(connect.event(type_, {"id": "po_9", "metadata": {PAYOUT: world.key()}}))
    assert await books.told(connect.event("payout.paid", {"id": "po_9", "metadata": {}})) == 0
    assert await books.told(connect.event("charge.succeeded", {"id": "ch_1"})) == 0
    assert state(await world.ledger.payouts.get(made.id)) is State.PROCESSING


@pytest.mark.attack
@pytest.mark.parametrize("other", [{"amount": 99}, {"currency": "eur"}])
async def test_other_money_is_no_payout_of_ours(books: Books, world: World, connect: Connect, other: Any) -> None:
    made = await books.request()
    await books.days()
    connect.settle("failed")
    connect.payouts[0].update(other)
    assert await books.told_of_payouts("payout.failed") == 0
    assert (books.payouts.mismatches, connect.out, await balance(world)) == (1, 100, EARNED - ASKED)
    connect.payouts.clear()
    connect.transfers[0].update(other)
    await books.days()
    assert (books.payouts.mismatches, connect.payouts) == (2, [])
    assert state(await world.ledger.payouts.get(made.id)) is State.PROCESSING
    connect.transfers[0].update(amount=100, currency="usd", destination="acct_2eve")
    await books.days()
    assert (books.payouts.mismatches, connect.payouts) == (3, [])


@pytest.mark.parametrize(
    ("currency", "micros", "asked", "amount", "at_stripe"),
    [
        ("JPY", 1_000_000, 100_999, 100, 100),
        ("ISK", 1_000_000, 100_999, 100, 10_000),
        ("UGX", 1_000_000, 100_999, 100, 10_000),
        ("HUF", 1_000_000, 100_999, 10_000, 10_000),
        ("KWD", 10_000, 100_999, 1_000, 1_000),
        ("EUR", 10_000, 100_999, 100, 100),
    ],
)
async def test_amounts_are_as_stripe_counts_them(
    books: Books, world: World, connect: Connect, currency: str, micros: int, asked: int, amount: int, at_stripe: int
) -> None:
    connect.balance[currency] = at_stripe
    async with books_of(world, connect, currency, micros) as other:
        made = await other.request(asked)
        assert (made.amount, made.diamonds) == (amount, 100_000)
        await other.days()
        assert [one["amount"] for one in (*connect.transfers, *connect.payouts)] == [at_stripe, at_stripe]
        connect.settle("paid")
        await other.days()
    assert state(await world.ledger.payouts.get(made.id)) is State.PAID


async def test_it_is_not_refused_while_another_process_sends_it(books: Books, world: World, connect: Connect) -> None:
    """The account is restricted while the transfer is on its way."""
    gate = connect.held_up["POST /v1/transfers"] = asyncio.Event()
    made = await books.request()
    sending = asyncio.create_task(books.payouts.resume())
    while not any(asked.method == "POST" for asked in connect.server.asked):
        await asyncio.sleep(0.01)
    connect.accounts[ACCOUNT] = an_account(payouts_enabled=False)
    async with books_of(world, connect) as other:
        world.clock[0] += SEND_AGAIN - 2
        await other.payouts.resume()
        assert state(await world.ledger.payouts.get(made.id)) is State.PROCESSING
        gate.set()
        await sending
        assert (len(connect.transfers), len(connect.payouts)) == (1, 1)
        connect.settle("paid")
        await other.days()
    assert state(await world.ledger.payouts.get(made.id)) is State.PAID


@pytest.mark.parametrize("forgets", [False, True])
async def test_many_processes_send_it_once_and_transfer_it_back_once(
    books: Books, world: World, connect: Connect, forgets: bool
) -> None:
    connect.forgets = forgets
    await books.request()
    async with AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(books_of(world, connect)) for _ in range(6)]
        await asyncio.gather(*(one.days() for one in crowd))
        assert (len(connect.transfers), len(connect.payouts)) == (1, 1)
        connect.settle("failed")
        both = [(one.told_of_payouts("payout.failed"), one.days()) for one in crowd]
        await asyncio.gather(*(one for pair in both for one in pair))
    assert (await entered(world), connect.out) == ([ASKED, -ASKED], 0)


async def test_only_an_account_of_stripes_is_a_destination(books: Books, world: World) -> None:
    for name in ("acct_", "acct_1/../x", "4242", "ca_1"):
        await known(world, destination=Destination("stripe", name, 0, 0))
        with pytest.raises(errors.NoDestination):
            await books.request()


async def test_over_http(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    """Purchases' webhooks and those of payouts come to one address, and are told apart by who signed them."""
    terms = tmp_path / "creators.toml"
    terms.write_text(TERMS.format(currency="USD", micros=10_000))
    connect = Connect(time.time)
    connect.balance["USD"], connect.accounts[ACCOUNT] = 1_000, an_account(payouts_enabled=False)
    settings: dict[str, Any] = {
        "providers": "stripe",
        "payers": "stripe",
        "stripe_key": KEY,
        "stripe_webhook_secrets": "whsec_buy",
    }
    settings |= {"stripe_webhook_secrets": "whsec_buy", "stripe_connect_secrets": SECRET}
    settings |= {"creators": str(terms), "reconcile_interval": "0.1", "message_rate": 1000}
    async with connect.server, httpx.AsyncClient(timeout=WITHIN) as client:
        settings["stripe_api"] = connect.server.url
        async with Server(tmp_path / "data", redis_url, **settings) as server:

            async def told(
                type_: str, seen: dict[str, Any], secret: str = SECRET, account: str | None = ACCOUNT
            ) -> Any:
                body = connect.event(type_, seen, account)
                url = f"{server.url}/v1/webhooks/stripe"
                return await client.post(url, content=body, headers=connect.signed(body, secret))

            await server.room("r1")
            await server.operator.grant_each(["ann"], 1_000)
            gift = {"gift": "spark", "count": EARNED // 500, "key": new_key()}
            await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)
            host, wanted = server.caller("host", "creator", mfa=True), {"diamonds": ASKED, "key": new_key()}
            to = {"provider": "stripe", "account": ACCOUNT}
            assert (await host.call("PUT", "/v1/creators/host/destination", to))["kyc"] == "pending"
            connect.accounts[ACCOUNT] = an_account()
            assert (await told("account.updated", an_account())).json() == {"ok": True, "changed": 1}
            made = await host.call("POST", "/v1/payouts", wanted)
            while not (await host.call("GET", f"/v1/payouts/{made['id']}"))["sent_at"]:
                pass
            connect.settle("paid")
            (bank,) = connect.payouts
            assert [(await told("payout.paid", bank)).json()["changed"] for _ in range(2)] == [1, 0]
            assert (await host.call("GET", f"/v1/payouts/{made['id']}"))["state"] == "paid"
            assert (await told("customer.created", {"id": "cus_1"}, "whsec_buy", None)).status_code == 200
            for secret, account in (("whsec_else", ACCOUNT), ("whsec_buy", ACCOUNT), (SECRET, "acct_2eve")):
                assert (await told("payout.failed", bank, secret, account)).status_code == 400
            refused = (await client.get(f"{server.url}/metrics")).text
            assert [f'{reason}"}} {count}' in refused for reason, count in (("unsigned", 1), ("foreign", 2))] == [
                True,
                True,
            ]


class _Parts:
    def __init__(self, settings: config.Settings) -> None:
        self.settings = settings


def test_a_key_and_the_connect_endpoints_secrets_are_needed() -> None:
    usual = {"stripe_webhook_secrets": "whsec_1"}
    for settings in ({}, {"stripe_key": "sk_test_1"}, {"stripe_key": "pk_1", "stripe_connect_secrets": SECRET}):
        with pytest.raises(errors.BadSetting):
            make(_Parts(config.load({**usual, **settings}, environ={})))  # type: ignore[arg-type]
