"""What a call of ``debit`` leaves in the outbox: for whom, by which numbers, of which gifts, and until when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import islice

import pytest
from redis.asyncio import Redis

from gifting.ledger.cluster.credit_call import APPLIED, read_blob
from gifting.ledger.cluster.debit_call import Riding
from gifting.ledger.cluster.owed import completions
from gifting.ledger.status import Status
from gifting.model.money import parse_key
from gifting.model.values import RoomRef
from tests.support.pair import Pair, a_pair
from tests.support.two_calls import gift_item

pytestmark = pytest.mark.one_redis("it sends both calls itself, on the wire of one server")


@pytest.fixture
async def pair(redis_client: Redis, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(redis_url) as pair:
        yield pair


async def test_ids_of_another_epoch_are_not_trimmed(pair: Pair) -> None:
    first = await pair.debit()
    await pair.redis.hset(pair.line, "lineage", "another")
    later = await pair.debit(0, Riding(epoch=first.epoch, credited=[first.item]))
    assert later.epoch > first.epoch
    assert await pair.redis.xlen(f"{pair.source}:outbox") == 1
    await pair.debit(0, Riding(epoch=later.epoch, credited=[first.item]))
    assert await pair.redis.xlen(f"{pair.source}:outbox") == 0


async def test_all_before_an_id_goes_at_once_and_others_by_theirs(pair: Pair) -> None:
    items = [(await pair.debit()).item for _ in range(4)]
    last = await pair.debit(0, Riding(epoch=(await pair.debit(0)).epoch, before=items[2], credited=[items[3]]))
    assert [item for item, _ in await pair.redis.xrange(f"{pair.source}:outbox")] == [items[2]]
    assert last.item == b""


async def rooms_in(pair: Pair, base: str, count: int) -> list[RoomRef]:
    """Of as many hosts in that partition."""
    hosts = islice((name for n in range(999) if pair.world.base(name := f"h{n}") == base), count)
    return [await pair.world.ledger.rooms.open(f"of-{host}", host, host, "") for host in hosts]


async def test_each_partition_is_owed_by_numbers_of_its_own(pair: Pair) -> None:
    """Also where one call has gifts for several, and one of them gets nothing."""
    bases = [base for base in pair.world.ledger.keys.bases if base not in (pair.source, pair.room.base)]
    others = [(await rooms_in(pair, base, 1))[0] for base in bases]

    async def give(*gifts: tuple[RoomRef, int]) -> dict[int, int]:
        pair.world.clock[0] += 1
        items = [gift_item(pair.world, "ann", room, "crown" if count > 1 else "spark", count) for room, count in gifts]
        said = await pair.halves.debit(pair.source, *items)
        return {number: read_blob(packed).seq for number, packed in said.blobs}

    first, second, third = (pair.halves.numbers[room.base] for room in (pair.room, *others))
    assert await give((pair.room, 1), (others[0], 1)) == {first: 1, second: 1}
    assert await give((others[0], 1), (pair.room, 1)) == {first: 2, second: 2}
    assert await give((pair.room, 99), (others[0], 1), (others[1], 1)) == {second: 3, third: 1}
    assert await give((pair.room, 1), (others[1], 1)) == {first: 3, third: 2}


@pytest.mark.parametrize("rooms", [1, 15, 16, 17])
async def test_a_call_is_for_any_number_of_rooms(pair: Pair, rooms: int) -> None:
    opened = await rooms_in(pair, pair.room.base, rooms)
    said = await pair.halves.debit(pair.source, *[gift_item(pair.world, "ann", room) for room in opened])
    (told,) = (await pair.credit(said.blobs[0][1])).told
    assert (told.how, told.results) == (APPLIED, [1, 1, 1] * rooms)
    assert [len(await pair.world.log(room)) for room in opened] == [1] * rooms


@pytest.mark.parametrize("gifts", [1, 3, 100, 900])
async def test_a_call_is_for_any_number_of_gifts(pair: Pair, gifts: int) -> None:
    """Up to more than 64 KiB of them."""
    ((_, packed),) = (await pair.debit(gifts, message="x" * 40)).blobs
    assert (len(packed) > 2**16) is (gifts == 900)
    (told,) = (await pair.credit(packed)).told
    assert (told.how, told.results[::3]) == (APPLIED, list(range(1, gifts + 1)))
    assert [event["message"] for event in await pair.world.log()] == ["x" * 40] * gifts


async def test_what_is_refused_between_two_gifts_is_not_owed(pair: Pair) -> None:
    keys = [pair.world.key() for _ in range(5)]
    items = [gift_item(pair.world, "ann", pair.room, key=key) for key in keys]
    items[1:3] = [gift_item(pair.world, "ann", pair.room, "crown", 99, key=key) for key in keys[1:3]]
    said = await pair.halves.debit(pair.source, *items)
    assert [reply[1] for reply in said.replies] == [0, *[Status.INSUFFICIENT_COINS] * 2, 0, 0]
    (told,) = (await pair.credit(said.blobs[0][1])).told
    assert (told.how, told.results) == (APPLIED, [1, 1, 1, 2, 2, 1, 3, 3, 1])
    done = completions(pair.source, read_blob(said.blobs[0][1]), told.results)
    assert [one.key for one in done] == [parse_key(keys[at]) for at in (0, 3, 4)]
