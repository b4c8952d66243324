"""Payouts: who may ask, and that the money goes out once or the diamonds come back once, whoever dies in between."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gifting import errors
from gifting.economy import payouts
from gifting.economy.payers.base import Payer
from gifting.economy.payers.sandbox import Sandbox
from gifting.economy.payouts import Payouts
from gifting.economy.reversals import Reversals
from gifting.ledger.audit import audit
from gifting.ledger.entries import Payout as Entered
from gifting.ledger.stream import Span, read_ledger
from gifting.model.creator import CreatorRecord, Destination
from gifting.model.creators import parse_creators
from gifting.model.money import parse_key
from gifting.model.old_payouts import KEPT_DAYS
from gifting.model.payouts import DAY_MS, OPEN_MAX, State, state
from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.world import World

TERMS = """
[payout]
currency = "USD"
micros_per_diamond = 10_000
minimum = 10
daily_maximum = 150
[[tier]]
id = "free"
hold_days = 0
[[tier]]
id = "long"
hold_days = 30
"""
CREATORS = parse_creators(TERMS, "creators.toml")
EARNED = 200_000
"""Milli-diamonds: 200 cents."""

ASKED = 100_000


class Books:
    """The payouts of one process, as another has after it died."""

    def __init__(self, world: World, known: bool = True) -> None:
        payers: dict[str, Payer] = {"sandbox": Sandbox(world.ledger)} if known else {}
        self.world = world
        self.payouts = Payouts(world.ledger, payers, lambda: CREATORS)

    async def request(self, diamonds: int = ASKED, key: str = "") -> Any:
        return await self.payouts.request("host", parse_key(key or self.world.key()), diamonds)

    async def days(self, count: int) -> None:
        for _ in range(count):
            self.world.clock[0] += DAY_MS + 1
            await self.payouts.resume()


@pytest.fixture
async def world(world: World) -> AsyncIterator[World]:
    """The host has earned, and may be paid; whatever a test does, the books hold after it."""
    world.clock[0] = time.time_ns() // 1_000_000
    await world.grant("ann", 1_000)
    await world.send(count=EARNED // 500)
    await known(world, kyc="verified", destination=Destination("sandbox", "acct", 0, 0))
    yield world
    report = await audit(world.redis, world.ledger.keys)
    assert report.clean, report.lines()


async def known(world: World, **of: Any) -> None:
    def rule(record: CreatorRecord) -> CreatorRecord:
        return replace(record, **of)

    await world.ledger.creators.change("host", rule, what="kyc", value="", by="op")


async def account(world: World, name: str) -> None:
    await known(world, destination=Destination("sandbox", name, 0, 0))


async def balance(world: World) -> int:
    return (await world.ledger.creators.read("host")).balance


async def entered(world: World) -> list[int]:
    spans = dict.fromkeys(world.ledger.keys.bases, Span())
    return [one.diamonds async for _, _, one in read_ledger(world.redis, spans) if isinstance(one, Entered)]


async def sent(world: World) -> int:
    return int(await world.redis.zcard(world.ledger.keys.sandbox_payouts))


END = {"acct": State.PAID, "failed": State.FAILED, "returned": State.RETURNED, "refused": State.FAILED}


@pytest.mark.parametrize("name", END)
async def test_what_becomes_of_it(world: World, name: str) -> None:
    await account(world, name)
    books, key = Books(world), world.key()
    made = await books.request(key=key)
    assert (made.diamonds, made.amount, state(made)) == (ASKED, 100, State.REQUESTED)
    assert await balance(world) == EARNED - ASKED
    await books.days(3)
    assert state(await books.request(key=key)) is END[name]
    back = END[name] is not State.PAID
    assert await balance(world) == (EARNED if back else EARNED - ASKED)
    assert await entered(world) == ([ASKED, -ASKED] if back else [ASKED])
    with pytest.raises(errors.KeyReused):
        await books.request(ASKED - 1, key)


@pytest.mark.parametrize(
    ("of", "diamonds", "error"),
    [
        ({"kyc": "pending"}, ASKED, errors.KycRequired),
        ({"held": "asked by the police"}, ASKED, errors.PayoutsHeld),
        ({"destination": None}, ASKED, errors.NoDestination),
        ({"destination": Destination("stripe", "acct", 0, 0)}, ASKED, errors.NoDestination),
        ({"destination": Destination("sandbox", "acct", 0, 2**43)}, ASKED, errors.DestinationNew),
        ({}, 9_999, errors.PayoutTooSmall),
        ({}, 151_000, errors.PayoutMax),
        ({"tier": "long"}, ASKED, errors.NotEnoughDiamonds),
    ],
)
async def test_a_refusal_says_why_and_leaves_nothing(world: World, of: Any, diamonds: int, error: Any) -> None:
    await known(world, **of)
    before = await world.state()
    with pytest.raises(error):
        await Books(world).request(diamonds)
    with pytest.raises(errors.PayoutsOff):
        await Books(world, known=False).request()
    with pytest.raises(errors.KeyInFuture):
        await Books(world).request(key=world.key(age=-3_600_000))
    assert await world.state() == before


async def test_a_day_is_any_24_hours(world: World) -> None:
    books, first = Books(world), world.clock[0]
    await books.request()
    world.clock[0] += DAY_MS - 1
    with pytest.raises(errors.PayoutMax) as refused:
        await books.request(60_000)
    assert (refused.value.until, refused.value.cap) == (first + DAY_MS, 150)
    world.clock[0] = refused.value.until
    await books.request(60_000)


async def test_so_many_are_under_way_at_once(world: World) -> None:
    books = Books(world)
    await world.send(count=100)
    for _ in range(OPEN_MAX):
        world.clock[0] += DAY_MS
        await books.request(10_000)
    world.clock[0] += DAY_MS
    with pytest.raises(errors.PayoutMax):
        await books.request(10_000)


async def test_who_has_as_many_as_are_kept_waits_until_the_oldest_may_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payouts, "PAYOUTS_MAX", 1)
    books = Books(world)
    made = await books.request(50_000)
    await books.days(1)
    with pytest.raises(errors.PayoutMax) as refused:
        await books.request(50_000)
    assert refused.value.until == made.created + KEPT_DAYS * DAY_MS


async def test_what_is_held_or_must_be_looked_at_waits(world: World) -> None:
    books = Books(world)
    await account(world, "review")
    watched = await books.request(50_000)
    await account(world, "acct")
    stopped = await books.request(50_000)
    await known(world, held="asked by the police")
    await books.days(2)
    assert await sent(world) == 0
    await known(world, held="")
    await world.ledger.payouts.decide(watched.id, world.clock[0], "op", rejected=False)
    await books.days(2)
    for one in (watched, stopped):
        assert state(await world.ledger.payouts.get(one.id)) is State.PAID


async def test_debt_is_settled_before_anything_leaves(world: World) -> None:
    books, key = Books(world), world.key()

    async def tell(user: str) -> None:
        pass

    await world.send(count=200, key=key)
    for diamonds in (150_000, 150_000):
        await books.request(diamonds)
        await books.days(1)
    assert await balance(world) == 0
    await Reversals(world.ledger, tell).reverse("ann", key, "op", "a mistake")
    assert (await world.ledger.creators.read("host")).debt == 100_000
    await world.send(count=300)
    with pytest.raises(errors.NotEnoughDiamonds):
        await books.request(51_000)
    await books.request(50_000)
    creator = await world.ledger.creators.read("host")
    assert (creator.balance, creator.debt) == (0, 0)


class Killed(Exception):
    """The process is gone."""


class Killer:
    """A process that dies before or after the n-th time it does something, and does nothing after that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World, doomed: str, when: str) -> None:
        self.dead = False
        self._doomed, _, count = doomed.partition("#")
        self._left, self._when = int(count), when
        ledger = world.ledger
        for part in ("payouts._write", "payouts._refer", "payouts.sending", "payouts.apply", "payouts.asked"):
            self._wrap(monkeypatch, ledger.payouts, part)
        self._wrap(monkeypatch, ledger.sandbox, "sandbox.pay")

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, owner: Any, part: str) -> None:
        done: Callable[..., Awaitable[Any]] = getattr(owner, part.partition(".")[2])

        async def step(*args: Any, **options: Any) -> Any:
            self._check()
            mine = part == self._doomed
            self._left -= mine
            self._die(mine and self._left == 0 and self._when == "before")
            result = await done(*args, **options)
            self._die(mine and self._left == 0 and self._when == "after")
            return result

        monkeypatch.setattr(owner, part.partition(".")[2], step)

    def _die(self, now: bool) -> None:
        self.dead |= now
        self._check()

    def _check(self) -> None:
        if self.dead:
            raise Killed


STEPS = [
    *(f"payouts._write#{count}" for count in range(1, 6)),
    *(f"payouts._refer#{count}" for count in (2, 4, 6)),
    "payouts.sending#1",
    "sandbox.pay#1",
    "payouts.apply#1",
    "payouts.apply#2",
    "payouts.asked#1",
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ["acct", "failed", "returned"])
async def test_whoever_dies_at_a_step_it_goes_out_once_and_comes_back_once(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, step: str, when: str
) -> None:
    await account(world, name)
    key = world.key()
    with monkeypatch.context() as patched:
        killer = Killer(patched, world, step, when)
        with pytest.raises(Killed):
            await Books(world).request(key=key)
            await Books(world).days(3)
        assert killer.dead
    heir = Books(world)
    await heir.days(1)
    await heir.request(key=key)
    await heir.days(3)
    assert state(await heir.request(key=key)) is END[name]
    back = END[name] is not State.PAID
    assert await entered(world) == ([ASKED, -ASKED] if back else [ASKED])
    assert await balance(world) == (EARNED if back else EARNED - ASKED)
    assert await sent(world) == 1


async def test_over_http(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    terms = tmp_path / "creators.toml"
    terms.write_text(TERMS)
    settings: dict[str, Any] = {"creators": str(terms), "payers": "sandbox", "reconcile_interval": 0.1}
    settings["message_rate"] = 1000
    async with Server(tmp_path / "data", redis_url, **settings) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 1_000)
        gift = {"gift": "spark", "count": 400, "key": new_key()}
        await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)
        host, wanted = server.caller("host", "creator", mfa=True), {"diamonds": ASKED, "key": new_key()}
        with pytest.raises(errors.SecondFactorRequired):
            await server.caller("host", "creator").call("POST", "/v1/payouts", wanted)
        with pytest.raises(errors.Forbidden):
            await server.caller("ann", "viewer", mfa=True).call("POST", "/v1/payouts", wanted)
        with pytest.raises(errors.KycRequired):
            await host.call("POST", "/v1/payouts", wanted)
        await server.operator.call("PUT", "/v1/creators/host/kyc", {"state": "verified", "reason": "passport"})
        to = {"provider": "sandbox", "account": "review_1"}
        await host.call("PUT", "/v1/creators/host/destination", to)
        made = await host.call("POST", "/v1/payouts", wanted)
        path = f"/v1/payouts/{made['id']}"
        assert (made["state"], made["amount"], made["currency"]) == ("review", 100, "USD")
        for who in (host, server.caller("eve", "creator")):
            with pytest.raises(errors.Forbidden):
                await who.call("POST", f"{path}/approve", {"reason": "fine"})
        with pytest.raises(errors.PayoutNotFound):
            await server.caller("eve", "creator").call("GET", path)
        await server.operator.call("POST", f"{path}/approve", {"reason": "fine"})
        while (found := await host.call("GET", path))["state"] != "paid":
            assert found["state"] in ("requested", "processing")
        assert (await host.call("GET", "/v1/payouts"))["payouts"] == [found]
        assert (await server.operator.call("GET", "/v1/payouts?creator=host"))["payouts"] == [found]
        second = await host.call("POST", "/v1/payouts", {"diamonds": 40_000, "key": new_key()})
        path = f"/v1/payouts/{second['id']}"
        assert (await server.operator.call("POST", f"{path}/reject", {"reason": "fraud"}))["state"] == "failed"
        with pytest.raises(errors.PayoutDecided):
            await server.operator.call("POST", f"{path}/approve", {"reason": "fine"})
        told = await host.call("GET", "/v1/creators/host/balance")
        assert told["available"]["diamonds"] == EARNED - ASKED
        assert (await server.audit())[0] == 0
