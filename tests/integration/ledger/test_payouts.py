"""Payouts in the ledger: out once, back once, never more than is available, what ever comes twice or breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from gifting import errors
from gifting.ledger import old_payouts, sandbox
from gifting.ledger.audit import audit
from gifting.ledger.entries import Payout as Entered
from gifting.ledger.halt import open_books
from gifting.ledger.payouts import Hold, Owned
from gifting.ledger.stream import Span, read_ledger
from gifting.model import old_payouts as model
from gifting.model.money import parse_key
from gifting.model.payouts import Fact, Kind, Payout, PayoutMismatch, State, payout_id, state
from tests.support.lua import GIFTS, break_off, hook
from tests.support.world import World, a_world

DAY = 86_400_000
EARNED = 100_000
NO_HOLD = Hold(0)


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    """Whatever a test does, the books hold after it. The host has earned 100 diamonds."""
    async with a_world(redis_url, like_interval=0) as made:
        await made.grant("ann", 10_000)
        await made.send(count=EARNED // 500)
        assert await balance(made) == EARNED
        yield made
        report = await audit(made.redis, made.ledger.keys)
        assert report.clean, report.lines()


def anyone(owned: Owned) -> None:
    """Nothing speaks against it."""


async def balance(world: World) -> int:
    return int(await world.redis.hget(f"{world.base('host')}:diamonds", "host") or 0)


def draft(world: World, diamonds: int = 60_000, **more: Any) -> Payout:
    made = payout_id("host", parse_key(world.key()))
    fields: dict[str, Any] = {"provider": "sandbox", "account": "acct", "amount": diamonds // 2000, "currency": "USD"}
    fields |= {"id": made, "host": "host", "digest": b"8 bytes!", "created": world.clock[0]}
    return Payout(diamonds=diamonds, **(fields | more))


async def request(world: World, diamonds: int = 60_000, hold: Hold = NO_HOLD, **more: Any) -> Payout:
    return await world.ledger.payouts.request(draft(world, diamonds, **more), hold, anyone)


async def say(world: World, payout: Payout, kind: Kind, **more: Any) -> Payout:
    return (await world.ledger.payouts.apply(Fact("sandbox", kind, world.clock[0], payout.id, **more))).payout


async def entries(world: World) -> list[int]:
    spans = dict.fromkeys(world.ledger.keys.bases, Span())
    return [one.diamonds async for _, _, one in read_ledger(world.redis, spans) if isinstance(one, Entered)]


async def test_it_leaves_once_and_comes_back_once(world: World) -> None:
    made = draft(world)
    for _ in range(3):
        assert await world.ledger.payouts.request(made, NO_HOLD, anyone) == made
    assert (await balance(world), await entries(world)) == (EARNED - 60_000, [60_000])
    with pytest.raises(errors.KeyReused):
        await world.ledger.payouts.request(replace(made, digest=b"another!"), NO_HOLD, anyone)
    assert (await world.ledger.payouts.sending(made.id, world.clock[0])).changed
    assert not (await world.ledger.payouts.sending(made.id, world.clock[0])).changed
    for kind in (Kind.SENT, Kind.PAID, Kind.PAID, Kind.RETURNED, Kind.FAILED, Kind.RETURNED, Kind.PAID):
        told = await say(world, made, kind, reference="sandbox:po_1")
    assert state(told) is State.RETURNED
    assert (await balance(world), await entries(world)) == (EARNED, [60_000, -60_000])
    assert await world.ledger.payouts.of_host("host") == [told]


async def test_a_refusal_leaves_nothing(world: World) -> None:
    before = await world.state()
    with pytest.raises(errors.NotEnoughDiamonds):
        await request(world, EARNED + 1)
    for hold in (Hold(1), Hold(0, 1, 1)):
        with pytest.raises(errors.NotEnoughDiamonds):
            await world.ledger.payouts.request(draft(world, EARNED), await with_days(world, hold), anyone)
    assert await world.state() == before


async def with_days(world: World, hold: Hold) -> Hold:
    """All was earned today."""
    await world.redis.hset(f"{world.base('host')}:diamonds", f"host/{world.clock[0] // DAY}", str(EARNED))
    return hold


async def test_of_many_at_once_no_more_leave_than_are_there(world: World) -> None:
    asked = [request(world, 30_000) for _ in range(6)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Payout) for one in found) == 3
    assert sum(isinstance(one, errors.NotEnoughDiamonds) for one in found) == 3
    assert await balance(world) == EARNED - 90_000


async def test_an_operator_decides_once(world: World) -> None:
    made = await request(world, review="amount")
    done = [world.ledger.payouts.decide(made.id, 1, "op", rejected=rejected) for rejected in (True, False, True)]
    found = await asyncio.gather(*done, return_exceptions=True)
    assert any(isinstance(one, errors.PayoutDecided) for one in found)
    last = await world.ledger.payouts.get(made.id)
    assert await balance(world) == (EARNED if last.rejected else EARNED - 60_000)
    with pytest.raises(errors.PayoutNotFound):
        await world.ledger.payouts.decide(payout_id("host", bytes(16)), 1, "op", rejected=True)


async def test_nothing_is_said_of_what_was_not_sent_or_is_anothers(world: World) -> None:
    one, other = await request(world, 20_000), await request(world, 30_000)
    with pytest.raises(PayoutMismatch):
        await say(world, one, Kind.FAILED)
    for payout in (one, other):
        await world.ledger.payouts.sending(payout.id, world.clock[0])
    await say(world, one, Kind.SENT, reference="sandbox:po_1")
    with pytest.raises(PayoutMismatch):
        await say(world, other, Kind.FAILED, reference="sandbox:po_1")
    named = Fact("sandbox", Kind.FAILED, world.clock[0], reference="sandbox:po_1")
    assert (await world.ledger.payouts.apply(named)).payout.id == one.id
    assert await balance(world) == EARNED - 30_000


@pytest.mark.parametrize("step", range(1, 10))
@pytest.mark.parametrize("backward", [False, True])
async def test_what_breaks_off_is_completed_or_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch, step: int, backward: bool
) -> None:
    """At each of the script's writes; the next change of a payout of the host makes good what is left."""
    made = draft(world)
    if backward:
        await world.ledger.payouts.request(made, NO_HOLD, anyone)
        await world.ledger.payouts.sending(made.id, world.clock[0])
    count = f"""
if command == 'HSET' or command == 'XADD' or command == 'HDEL' or command == 'ZADD' or command == 'ZREM' then
  writes = writes + 1
  if writes == {step} then error({{ err = 'ERR broken off' }}, 0) end
end
return real.call(command, key, ...)
"""
    with monkeypatch.context() as patch:
        hook(patch, "local writes = 0", count, spared=GIFTS)
        with suppress(errors.GiftingError):
            await (say(world, made, Kind.FAILED) if backward else world.ledger.payouts.request(made, NO_HOLD, anyone))
    halt = world.ledger.halt
    assert halt.why or step > 7, "it broke off"
    await halt.end()
    halt.why = ""
    await open_books(world.redis, world.ledger.keys.meta)
    again = await world.ledger.payouts.request(made, NO_HOLD, anyone)
    if backward:
        again = await say(world, made, Kind.FAILED)
    assert again.back is backward
    assert await balance(world) == (EARNED if backward else EARNED - 60_000)
    assert await entries(world) == ([60_000, -60_000] if backward else [60_000])
    assert not await world.redis.hexists(world.ledger.keys.payouts_of("host")[0], "redo")


KEPT = 3


@pytest.fixture
async def many(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Payout]:
    """Four that are paid, one that came back, one on its way; the first three may be forgotten after long."""
    for module in (model, old_payouts):
        monkeypatch.setattr(module, "KEPT_MIN", KEPT)
    made = []
    for place in range(KEPT + 3):
        made.append(await request(world, 10_000))
        world.clock[0] += 1000
        if place < KEPT + 2:
            await world.ledger.payouts.sending(made[-1].id, world.clock[0])
            await say(world, made[-1], Kind.FAILED if place == 1 else Kind.PAID, reference=f"sandbox:po_{place}")
    world.clock[0] += model.KEPT_DAYS * DAY
    for one in made:
        await world.ledger.payouts.asked(one.id, world.clock[0])
    return made


async def names(world: World) -> set[str]:
    return {one.id for one in await world.ledger.payouts.of_host("host")}


async def test_what_is_over_for_long_goes_where_there_are_many(world: World, many: list[Payout]) -> None:
    before = await balance(world)
    new = await request(world, 10_000)
    assert await names(world) == {one.id for one in (*many[3:], new)}
    assert await balance(world) == before - 10_000
    gone = (await world.ledger.payouts.owned("host")).gone
    assert (gone.count, gone.diamonds, gone.last) == (3, 20_000, tuple(one.id for one in many[:3]))
    for one in many[:3]:
        with pytest.raises(errors.PayoutNotFound):
            await world.ledger.payouts.get(one.id)
        with pytest.raises(errors.KeyExpired):
            await world.ledger.payouts.request(replace(one, created=world.clock[0]), NO_HOLD, anyone)
    with pytest.raises(errors.PayoutNotFound):
        await world.ledger.payouts.apply(Fact("sandbox", Kind.RETURNED, world.clock[0], reference="sandbox:po_0"))


async def test_what_is_young_or_not_over_stays(world: World, many: list[Payout]) -> None:
    await say(world, many[0], Kind.RETURNED)
    world.clock[0] = many[1].created + model.KEPT_DAYS * DAY
    await request(world, 10_000)
    assert await names(world) >= {one.id for one in many[2:]}
    assert not await names(world) & {one.id for one in many[:2]}
    assert (await world.ledger.payouts.owned("host")).gone.diamonds == 0


async def test_who_breaks_off_while_forgetting_loses_nothing(world: World, many: list[Payout]) -> None:
    for at in range(1, 9):
        with pytest.MonkeyPatch.context() as patch:
            break_off(patch, at)
            with suppress(errors.Unavailable):
                await world.ledger.payouts._forget_old("host", world.clock[0])
        report = await audit(world.redis, world.ledger.keys)
        assert report.clean, report.lines()
    assert await names(world) == {one.id for one in many[3:]}
    await world.ledger.payouts.request(draft(world, 10_000), NO_HOLD, anyone)


async def test_the_audit_counts_what_is_forgotten(redis_client: Redis, redis_url: str, monkeypatch: Any) -> None:
    for field, value in ((b"gone", b"x"), (b"gone", model.pack_gone(model.Gone(count=3)))):
        await redis_client.flushall()
        async with a_world(redis_url, like_interval=0) as world:
            await world.grant("ann", 10_000)
            await world.send(count=EARNED // 500)
            await request(world, 10_000)
            await world.redis.hset(world.ledger.keys.payouts_of("host")[0], field, value)
            report = await audit(world.redis, world.ledger.keys)
            assert report.problems[0].name in {"payout_broken", "payout_missing"}


async def test_the_sandbox_keeps_the_newest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "PAYOUTS_MAX", 3)
    for number in range(5):
        assert await world.ledger.sandbox.pay(f"payout {number}", 10 + number) == 10 + number
    assert await world.ledger.sandbox.pay("payout 4", 99) == 14
    assert [await world.ledger.sandbox.paid(f"payout {number}") for number in range(5)] == [0, 0, 12, 13, 14]
