"""What ``debit`` refuses by what the gift's room and host have said when they were asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting.ledger.cluster.credit_call import APPLIED
from gifting.ledger.cluster.debit_call import UNASKED, Asked, Debited, read_debit
from gifting.ledger.status import Status
from gifting.model.house import PersonChange, RulesChange
from gifting.model.money import MAX_AMOUNT
from gifting.model.terms import Terms
from gifting.model.values import RoomRef
from tests.support.pair import Pair, a_pair
from tests.support.two_calls import Halves, gift_item, run
from tests.support.world import World

pytestmark = pytest.mark.one_redis("it sends both calls itself, on the wire of one server")


@pytest.fixture
async def pair(redis_client: Redis, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(redis_url) as pair:
        yield pair


Prepare = Callable[[World, RoomRef], Awaitable[Any]]


async def _nothing(world: World, room: RoomRef) -> None:
    pass


REFUSALS: dict[str, tuple[Prepare, dict[str, Any]]] = {
    "ended": (lambda world, room: world.ledger.rooms.end(room), {}),
    "no room": (lambda world, room: world.redis.delete(f"{room.base}:room:{room.id}"), {}),
    "another's": (lambda world, room: world.redis.hset(f"{room.base}:room:{room.id}", "host", "else"), {}),
    "gifting off": (lambda world, room: world.ledger.people.set_rules(room, RulesChange(gifting=False)), {}),
    "age": (lambda world, room: world.ledger.people.set_rules(room, RulesChange(min_age=18)), {}),
    "too dear": (lambda world, room: world.ledger.people.set_rules(room, RulesChange(max_gift=1)), {"count": 2}),
    "blocked": (lambda world, room: world.ledger.people.decide(room, "ann", PersonChange(blocked=True)), {}),
    "muted": (
        lambda world, room: world.ledger.people.decide(room, "ann", PersonChange(mute=60_000)),
        {"message": "hello"},
    ),
    "muted, and says nothing": (
        lambda world, room: world.ledger.people.decide(room, "ann", PersonChange(mute=60_000)),
        {},
    ),
    "wallet full": (lambda world, room: world.redis.hset(f"{room.base}:diamonds", room.host, MAX_AMOUNT), {}),
    "room full": (lambda world, room: world.redis.hset(f"{room.base}:room:{room.id}", "coins", MAX_AMOUNT), {}),
    "commission": (lambda world, room: world.redis.hset(f"{room.base}:diamonds", f"{room.host}/bps", 3333), {}),
    "room for what is left after commission": (
        lambda world, room: world.redis.hset(
            f"{room.base}:diamonds", mapping={room.host: MAX_AMOUNT - 400, f"{room.host}/bps": 3333}
        ),
        {},
    ),
    "too little": (_nothing, {"count": 99, "gift": "crown"}),
    "barred": (_nothing, {"terms": Terms(barred=int(Status.BANNED), guarded=False)}),
    "unasked": (_nothing, {"terms": Terms(confirm_first=True)}),
    "old key": (_nothing, {"age": 900_000}),
    "young key": (_nothing, {"age": -900_000}),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_is_refused_in_two_calls_is_what_is_refused_in_one(pair: Pair, name: str) -> None:
    prepare, how = REFUSALS[name]
    await prepare(pair.world, pair.room)
    age = how.pop("age", 0) if "age" in how else 0
    keys = [pair.world.key(age) for _ in range(2)]
    item = gift_item(pair.world, "ann", pair.room, key=keys[0], **how)
    debited = await pair.halves.debit(pair.source, item)
    (once,) = await pair.world.raw_commit(gift_item(pair.world, "ann", pair.room, key=keys[1], **how))
    (twice,) = debited.replies
    if once.status == Status.OK:
        assert twice[1] == Status.OK
        assert len(debited.blobs) == 1
    else:
        assert twice == tuple(once)
        assert debited.blobs == []
    refusals = name not in ("muted, and says nothing", "commission", "room for what is left after commission")
    assert (once.status != Status.OK) == refusals


async def test_what_a_host_decides_by_a_pseudonym_holds_for_what_is_given_by_one(pair: Pair) -> None:
    masked = pair.world.ledger.gifts.masked(pair.world.sender("ann"), pair.room)
    assert await pair.how((await pair.debit(sender=masked)).blobs[0][1]) == [APPLIED]
    await pair.world.ledger.people.decide(pair.room, masked.shown, PersonChange(blocked=True))
    assert (await pair.debit(sender=masked)).replies[0][1] == Status.BLOCKED
    assert (await pair.debit()).replies[0][1] == Status.OK


async def test_a_host_without_a_commission_of_its_own_has_the_usual_one(pair: Pair) -> None:
    await pair.redis.hset(f"{pair.room.base}:diamonds", pair.room.host, MAX_AMOUNT - 400)
    assert (await pair.debit()).replies[0][1] == Status.WALLET_FULL
    bases, world = pair.world.ledger.keys.bases, pair.world
    pair.halves = Halves(lambda _: world.redis, bases, world.clock, commission=3333)
    assert (await pair.debit()).replies[0][1] == Status.OK


async def test_a_room_that_could_not_be_asked_takes_nothing_and_what_it_took_is_known(pair: Pair) -> None:
    key = pair.world.key()

    async def unasked() -> Debited:
        asked = Asked(gift_item(pair.world, "ann", pair.room, key=key), UNASKED)
        return read_debit(await run(pair.redis, pair.halves.debits[pair.source].pack([asked])), 1)

    refused = await unasked()
    assert (refused.replies[0][:2], refused.blobs) == ((0, Status.LEDGER_UNAVAILABLE), [])
    assert (await pair.debit(key=key)).replies[0][:2] == (0, Status.OK), "it may come again"
    assert (await unasked()).replies[0][:2] == (1, Status.OK)
