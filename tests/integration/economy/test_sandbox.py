"""The sandbox with what it keeps in a real Redis, and its webhooks over real HTTP, to whoever answers them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import config
from gifting.economy.providers.base import ProviderRefused, Reason, Told
from gifting.economy.providers.registry import Parts, provider_names
from gifting.economy.providers.sandbox import checkout as checkouts
from gifting.economy.providers.sandbox import make
from gifting.economy.providers.sandbox.cards import CARDS, Fate
from gifting.economy.providers.sandbox.history import TRIES_MAX
from gifting.economy.providers.sandbox.provider import Sandbox
from gifting.economy.providers.sandbox.sender import Address, Sender
from gifting.economy.providers.signature import HEADER, sign
from gifting.errors import BadSetting, BadWebhook, OrderNotFound
from gifting.ledger import sandbox as books
from gifting.model.effects import Effect
from gifting.model.orders import Order
from tests.support.certificate import make_certificate
from tests.support.waiting import until
from tests.support.world import START, World, a_world

SECRETS = ["the first secret, of 32 bytes or more", "the second"]
NUMBERS = {card.fate: card.number for card in CARDS}
ORDER = Order(
    id="018bcfe5-6800-7000-8000-00000000000f",
    user="ann",
    digest=b"",
    provider="sandbox",
    region="DE",
    currency="EUR",
    price=499,
    coins=500,
    created=START,
    expires=START + 3_600_000,
)


class Till:
    """The sandbox of one process: its clock is the world's."""

    def __init__(self, world: World) -> None:
        self.world = world
        settings = config.load({"sandbox_delay": 10.0}, environ={})
        self.sandbox: Sandbox = make(Parts(settings, world.ledger, lambda: SECRETS, lambda: None))  # type: ignore[arg-type, return-value]
        self.sandbox._now = lambda: world.clock[0]

    async def buy(self, fate: Fate = Fate.PAYS) -> str:
        await self.sandbox.create(ORDER, "https://here.example/")
        checkout = checkouts.checkout_id(ORDER.id)
        await self.sandbox.change(checkout, lambda known, now: checkouts.pay(known, NUMBERS[fate], now))
        return checkout


class Ears:
    """A server that hears webhooks, and answers as it is told to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.status = "200 OK"
        self.url = ""
        self.answers = asyncio.Event()
        self.answers.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")[1:-2]
        headers = dict(line.split(": ", 1) for line in head)
        self.headers = headers
        self.bodies.append(await reader.readexactly(int(headers["content-length"])))
        await self.answers.wait()
        writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def ears(tls: ssl.SSLContext | None = None) -> AsyncIterator[Ears]:
    made = Ears()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


@pytest.fixture
async def till(redis_client: Redis, redis_url: str) -> AsyncIterator[Till]:
    async with a_world(redis_url) as world:
        yield Till(world)


def all_read_before_any_writes(till: Till, count: int, patch: pytest.MonkeyPatch) -> None:
    """The next ``count`` who read what is kept have all read it before one goes on."""
    barrier, left = asyncio.Barrier(count), [count]
    read = till.world.ledger.sandbox.read

    async def together(checkout: str) -> bytes:
        known = await read(checkout)
        if left[0]:
            left[0] -= 1
            await barrier.wait()
        return known

    patch.setattr(till.world.ledger.sandbox, "read", together)


def sender(till: Till, heard: Ears) -> Sender:
    return Sender(till.sandbox, Address(heard.url), lambda: till.world.clock[0])


async def told(till: Till, heard: Ears) -> list[Told]:
    """What the newest webhook says, after its signature was checked."""
    return list(await till.sandbox.verify(heard.bodies[-1], heard.headers, till.world.clock[0]))


async def test_a_payment_is_told_once_it_was_taken_and_what_comes_later_when_its_time_has_come(till: Till) -> None:
    await till.buy(Fate.REFUND)
    async with ears() as heard:
        telling = sender(till, heard)
        assert await telling.round() == 1
        (paid,) = await told(till, heard)
        assert isinstance(paid, Effect)
        assert (paid.kind, paid.order, paid.amount, paid.currency) == ("paid", ORDER.id, 499, "EUR")
        assert await telling.round() == 0
        till.world.clock[0] += 10_000
        assert await telling.round() == 1
        (refunded,) = await told(till, heard)
        assert isinstance(refunded, Effect) and refunded.kind == "refunded"
        till.world.clock[0] += 10**9
        assert await telling.round() == 0 and len(heard.bodies) == 2


async def test_what_is_not_taken_is_sent_again_more_slowly_and_given_up_and_still_found(till: Till) -> None:
    await till.buy()
    async with ears() as heard:
        heard.status = "503 Service Unavailable"
        telling = sender(till, heard)
        for _ in range(TRIES_MAX):
            assert await telling.round() == 1
            assert await telling.round() == 0, "not again at once"
            till.world.clock[0] += 500 * 2**TRIES_MAX
        assert (len(heard.bodies), telling.given_up) == (TRIES_MAX, 1)
        assert await telling.round() == 0
        (found,) = await till.sandbox.reconcile(START)
        assert isinstance(found, Effect) and found.kind == "paid"


async def test_nobody_who_listens_is_as_good_as_a_no(till: Till) -> None:
    await till.buy()
    async with ears() as heard:
        gone = Sender(till.sandbox, Address("http://127.0.0.1:9"), lambda: till.world.clock[0])
        assert await gone.round() == 1
        till.world.clock[0] += 500
        assert await sender(till, heard).round() == 1
        assert len(heard.bodies) == 1


async def test_over_tls_the_servers_own_certificate_is_believed_and_no_other(till: Till, tmp_path: Path) -> None:
    await till.buy()
    (tmp_path / "other").mkdir()
    (own, key), (other, _) = make_certificate(tmp_path), make_certificate(tmp_path / "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    async with ears(context) as heard:
        for certificate, times in ((other, 0), (own, 1)):
            await Sender(till.sandbox, Address(heard.url, str(certificate)), lambda: till.world.clock[0]).round()
            assert len(heard.bodies) == times
            till.world.clock[0] += 500


async def test_of_several_processes_one_sends(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    await till.buy()
    all_read_before_any_writes(till, 5, monkeypatch)
    async with ears() as heard:
        heard.answers.clear()
        rounds = [asyncio.create_task(sender(Till(till.world), heard).round()) for _ in range(5)]
        await until(lambda: sum(one.done() for one in rounds) >= 4)
        heard.answers.set()
        await asyncio.gather(*rounds)
        assert len(heard.bodies) == 1


async def test_a_sender_that_died_after_it_was_heard_is_taken_over_and_the_event_is_the_same(till: Till) -> None:
    await till.buy()
    async with ears() as heard:
        dying = sender(till, heard)
        (checkout,) = await till.sandbox.due(1)
        one, _ = await dying._take(checkout)
        assert one is not None, "and here it is killed"
        first = await told_of(till, one)
        till.world.clock[0] += 500
        assert await sender(till, heard).round() == 1
        assert await told(till, heard) == first


async def told_of(till: Till, one: Any) -> list[Told]:
    from gifting.economy.providers.sandbox.history import event_body

    body = event_body(one)
    header = {HEADER: sign(body, till.sandbox.secrets[0], till.world.clock[0] // 1000)}
    return list(await till.sandbox.verify(body, header, till.world.clock[0]))


async def test_an_order_has_one_checkout_however_often_and_at_once_it_is_asked_for(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_read_before_any_writes(till, 20, monkeypatch)
    opened = await asyncio.gather(*(till.sandbox.create(ORDER, "") for _ in range(20)))
    assert len(set(opened)) == 1
    checkout = await till.buy()
    assert (await till.sandbox.create(ORDER, "")) == opened[0]
    with pytest.raises(ProviderRefused):
        await till.sandbox.change(checkout, lambda known, now: checkouts.pay(known, NUMBERS[Fate.PAYS], now))


async def test_twenty_who_pay_at_once_pay_once(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    await till.sandbox.create(ORDER, "")
    all_read_before_any_writes(till, 20, monkeypatch)
    paying: Callable[[], Any] = lambda: till.sandbox.change(  # noqa: E731
        checkouts.checkout_id(ORDER.id), lambda known, now: checkouts.pay(known, NUMBERS[Fate.PAYS], now)
    )
    outcomes = await asyncio.gather(*(paying() for _ in range(20)), return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1
    assert sum(isinstance(one, ProviderRefused) for one in outcomes) == 19


async def test_a_refund_is_asked_for_once_and_names_its_withdrawal(till: Till) -> None:
    await till.buy()
    for _ in range(2):
        await till.sandbox.refund(ORDER, 200, "w1")
    refunds = [one for one in await till.sandbox.reconcile(START) if isinstance(one, Effect) and one.withdrawal]
    assert [(one.kind, one.amount, one.withdrawal) for one in refunds] == [("refunded", 200, "w1")]
    with pytest.raises(ProviderRefused):
        await till.sandbox.refund(ORDER, 300, "w2")


@pytest.mark.attack
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body.replace(b'"livemode":false', b'"livemode":true'), Reason.MODE),
        (lambda body: body.replace(b'"livemode"', b'"account":"acct_1","livemode"'), Reason.FOREIGN),
        (lambda body: b"[]", Reason.MALFORMED),
    ],
)
async def test_signed_and_still_refused(till: Till, change: Callable[[bytes], bytes], reason: Reason) -> None:
    await till.buy()
    async with ears() as heard:
        await sender(till, heard).round()
        body, now = change(heard.bodies[0]), till.world.clock[0]
        for secret, why in ((till.sandbox.secrets[1], reason), ("another", Reason.UNSIGNED)):
            with pytest.raises(BadWebhook) as caught:
                await till.sandbox.verify(body, {HEADER: sign(body, secret, now // 1000)}, now)
            assert caught.value.reason == why


async def test_what_is_kept_is_bounded_and_the_oldest_goes(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "CHECKOUTS_MAX", 3)
    for number in range(5):
        till.world.clock[0] += 1
        await till.world.ledger.sandbox.write(f"cs_{number}", b"", b"known", None, till.world.clock[0])
    assert [await till.world.ledger.sandbox.read(f"cs_{number}") for number in range(5)] == [b""] * 2 + [b"known"] * 3
    with pytest.raises(OrderNotFound):
        await till.sandbox.find("cs_0")


def test_the_sandbox_is_there_where_nothing_is_said_and_the_redis_is_private() -> None:
    def names(**flags: Any) -> tuple[str, ...]:
        return provider_names(config.load(flags, environ={}))

    assert names() == ("sandbox",)
    assert names(redis="redis://x") == ()
    assert names(redis="redis://x", providers="sandbox, stripe") == ("sandbox", "stripe")
    assert names(providers="none") == ()
    with pytest.raises(BadSetting):
        names(providers="paypal")
