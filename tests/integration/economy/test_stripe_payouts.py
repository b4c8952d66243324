"""Payouts by Stripe Connect: to the bank once or back once, whoever dies in between and whatever webhooks are lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

pytest.importorskip("stripe", reason="the extra stripe is not installed")

from gifting import config, errors
from gifting.economy.payers.base import Payer
from gifting.economy.payers.connect_events import PAYOUT
from gifting.economy.payers.stripe import Stripe, make
from gifting.economy.payout_news import PayoutNews
from gifting.economy.payouts import Payouts
from gifting.economy.providers.base import Reason
from gifting.ledger.audit import audit
from gifting.ledger.entries import AccountChange
from gifting.ledger.entries import Payout as Entered
from gifting.ledger.stream import Span, read_ledger
from gifting.model.creator import CreatorRecord, Destination
from gifting.model.creators import parse_creators
from gifting.model.money import parse_key
from gifting.model.payouts import DAY_MS, RETURN_DAYS, SEND_AGAIN, Payout, State, state
from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.stripe_connect import ACCOUNT, KEY, SECRET, Connect, No, an_account
from tests.support.world import World

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
"""What the library's own requests warn of."""

TERMS = """
[payout]
currency = "{currency}"
micros_per_diamond = {micros}
minimum = 1
daily_maximum = 100_000_000
[[tier]]
id = "free"
hold_days = 0
"""
EARNED, ASKED = 200_000, 100_000
"""Milli-diamonds: 200 and 100 cents."""


class Books:
    """One process: its payouts, and the Stripe it asks."""

    def __init__(self, world: World, connect: Connect, currency: str = "USD", micros: int = 10_000) -> None:
        terms = parse_creators(TERMS.format(currency=currency, micros=micros), "creators.toml")
        self.stripe = Stripe(KEY, (SECRET,), world.ledger.creators.now_ms, connect.server.url)
        payers: dict[str, Payer] = {"stripe": self.stripe}
        self.world, self.connect = world, connect
        self.payouts = Payouts(world.ledger, payers, lambda: terms)
        self.news = PayoutNews(world.ledger, self.payouts)

    async def request(self, diamonds: int = ASKED, key: str = "") -> Payout:
        return await self.payouts.request("host", parse_key(key or self.world.key()), diamonds)

    async def days(self, count: int = 1) -> None:
        for _ in range(count):
            self.world.clock[0] += DAY_MS + 1
            await self.payouts.resume()

    async def told(self, body: bytes, **signed: Any) -> int:
        return await self.news.webhook("stripe", body, self.connect.signed(body, **signed))

    async def told_of_payouts(self, type_: str = "payout.updated", of: str = "") -> int:
        """A webhook of each payout to a bank, or those of one payout of ours."""
        found = [one for one in self.connect.payouts if of in ("", one["metadata"][PAYOUT])]
        return sum([await self.told(self.connect.event(type_, one, one["account"])) for one in found])


@asynccontextmanager
async def books_of(world: World, connect: Connect, *terms: Any) -> AsyncIterator[Books]:
    books = Books(world, connect, *terms)
    try:
        yield books
    finally:
        await books.stripe.close()


@pytest.fixture
async def connect(world: World) -> AsyncIterator[Connect]:
    world.clock[0] = time.time_ns() // 1_000_000
    made = Connect(lambda: world.clock[0] / 1000)
    made.balance["USD"] = 1_000
    async with made.server:
        yield made


@pytest.fixture
async def books(world: World, connect: Connect) -> AsyncIterator[Books]:
    """The host has earned, and may be paid; whatever a test does, the books hold after it, and no money is lost."""
    await world.grant("ann", 1_000)
    await world.send(count=EARNED // 500)
    await known(world, kyc="verified", destination=Destination("stripe", ACCOUNT, 0, 0))
    async with books_of(world, connect) as made:
        yield made
    report = await audit(world.redis, world.ledger.keys)
    assert report.clean, report.lines()


async def known(world: World, **of: Any) -> None:
    def rule(record: CreatorRecord) -> CreatorRecord:
        return replace(record, **of)

    await world.ledger.creators.change("host", rule, what="kyc", value="", by="op")


async def balance(world: World) -> int:
    return (await world.ledger.creators.read("host")).balance


async def kyc(world: World) -> str:
    return (await world.ledger.creators.read("host")).record.kyc


async def entries(world: World, kind: Any) -> list[Any]:
    spans = dict.fromkeys(world.ledger.keys.bases, Span())
    return [one async for _, _, one in read_ledger(world.redis, spans) if isinstance(one, kind)]


async def entered(world: World) -> list[int]:
    return [one.diamonds for one in await entries(world, Entered)]


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


class Killed(Exception):
    """The process is gone."""


class Killer:
    """A process that dies before or after the n-th time it asks Stripe or writes, and does nothing after that."""

    def __init__(self, patched: pytest.MonkeyPatch, books: Books, doomed: int) -> None:
        self.dead = False
        self._left = doomed
        payouts = books.world.ledger.payouts
        for part in ("_write", "_refer", "sending", "apply", "asked"):
            self._wrap(patched, payouts, part)
        self._wrap(patched, books.stripe._http, "request_async")

    def _wrap(self, patched: pytest.MonkeyPatch, owner: Any, part: str) -> None:
        done: Callable[..., Awaitable[Any]] = getattr(owner, part)

        async def step(*args: Any, **options: Any) -> Any:
            self._check()
            result = await done(*args, **options)
            self._check()
            return result

        patched.setattr(owner, part, step)

    def _check(self) -> None:
        self._left -= 1
        self.dead |= self._left <= 0
        if self.dead:
            raise Killed


ENDS = {"paid": State.PAID, "failed": State.FAILED, "returned": State.RETURNED, "refused": State.FAILED}


async def lives(books: Books, end: str, key: str) -> None:
    """All of a payout's life, by webhooks, some of which come before anything is noted."""
    made = await books.request(key=key)
    await books.payouts.resume()
    if end == "returned":
        books.connect.settle("paid")
        await books.told_of_payouts(of=made.id)
    books.connect.settle("paid" if end == "paid" else "failed")
    for _ in range(2):
        await books.told_of_payouts(of=made.id)


async def killed(books: Books, monkeypatch: pytest.MonkeyPatch, doomed: int, end: str, key: str) -> bool:
    """Whether it died at that step, or lived to the end."""
    with monkeypatch.context() as patched:
        killer = Killer(patched, books, doomed)
        with suppress(Killed):
            await lives(books, end, key)
        return killer.dead


STEPS = 120
"""More than there are."""


@pytest.mark.slow
@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("end", ENDS)
async def test_whoever_dies_at_a_step_it_goes_out_once_and_comes_back_once(
    books: Books, world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch, end: str, forgets: bool
) -> None:
    """Each death has a payout of its own; a Stripe that forgets has no keys that were used before."""
    connect.forgets = forgets
    if end == "refused":
        connect.refuses["POST /v1/payouts"] = No("payouts_not_allowed")
    await world.grant("ann", 100_000)
    expected = list[int]()
    for doomed in range(1, STEPS):
        await world.send(count=ASKED // 500)
        key, had, out = world.key(), await balance(world), connect.out
        connect.balance["USD"] = 1_000
        async with books_of(world, connect) as victim:
            died = await killed(victim, monkeypatch, doomed, end, key)
        async with books_of(world, connect) as heir:
            await heir.days()
            await lives(heir, end, key)
            await heir.days(2)
            ended = state(await heir.request(key=key))
        possible = {ENDS[end]} | ({State.FAILED} if end == "returned" else set())
        assert ended in possible, "a webhook that was lost may have said that it was paid first"
        paid = end == "paid"
        expected += [ASKED] if paid else [ASKED, -ASKED]
        assert await balance(world) == had - ASKED * paid
        assert connect.out == out + 100 * paid
        assert len({one["transfer_group"] for one in connect.transfers}) == len(connect.transfers) == doomed
        if not died:
            break
        world.clock[0] += (RETURN_DAYS + 1) * DAY_MS
    assert not died and doomed > 15
    assert await entered(world) == expected


KYC: list[tuple[dict[str, Any], str]] = [
    ({}, "verified"),
    ({"payouts_enabled": False}, "pending"),
    ({"capabilities": {"transfers": "pending"}}, "pending"),
    ({"payouts_enabled": False, "details_submitted": False}, "none"),
    ({"metadata": {"gifting_creator": "eve"}}, "none"),
    ({"payouts_enabled": False, "requirements": {"disabled_reason": "rejected.fraud"}}, "rejected"),
]


@pytest.mark.parametrize(("account", "expected"), KYC)
async def test_an_account_says_who_its_creator_is(
    books: Books, world: World, connect: Connect, account: dict[str, Any], expected: str
) -> None:
    await known(world, kyc="none" if expected != "none" else "pending")
    connect.accounts[ACCOUNT] = an_account(**account)
    body = connect.event("account.updated", an_account())
    assert [await books.told(body) for _ in range(2)] == [1, 0]
    assert await kyc(world) == expected
    last = (await entries(world, AccountChange))[-1]
    assert (last.what, last.value, last.by) == ("kyc", f"{expected}: {ACCOUNT}", "stripe")


async def test_an_event_of_before_changes_nothing_and_what_it_is_not_about_neither(
    books: Books, world: World, connect: Connect
) -> None:
    old = connect.event("account.updated", an_account(payouts_enabled=False))
    assert await books.told(old) == 0 and await kyc(world) == "verified"
    connect.accounts["acct_2eve"] = an_account("acct_2eve", "host", payouts_enabled=False)
    assert await books.told(connect.event("account.updated", connect.accounts["acct_2eve"], "acct_2eve")) == 0
    assert await books.told(connect.event("account.updated", an_account(metadata=None))) == 0
    assert await kyc(world) == "verified"


async def test_who_is_rejected_is_verified_by_an_operator_only(books: Books, world: World, connect: Connect) -> None:
    await known(world, kyc="rejected")
    assert await books.told(connect.event("account.updated", an_account())) == 0
    with pytest.raises(errors.KycRequired):
        await books.request()
    await known(world, kyc="none")
    await books.request()
    assert await kyc(world) == "verified", "no webhook told: asked when it mattered"


async def test_an_answer_that_is_overtaken_does_not_stay(books: Books, world: World, connect: Connect) -> None:
    """What was asked before the account changed is written after another webhook has been done with."""
    asked = books.stripe.identity
    late = [an_account(payouts_enabled=False)]

    async def overtaken(creator: str, to: Destination) -> Any:
        if not late:
            return await asked(creator, to)
        connect.accounts[ACCOUNT] = late.pop()
        answer = await asked(creator, to)
        connect.accounts[ACCOUNT] = an_account()
        assert await books.payouts.identities.ask("host") is False
        return answer

    books.stripe.identity = overtaken  # type: ignore[method-assign]
    assert await books.told(connect.event("account.updated", an_account())) == 1
    assert await kyc(world) == "verified"


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
    settings |= {"creators": str(terms), "reconcile_interval": "0.1"}
    async with connect.server, httpx.AsyncClient() as client:
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
