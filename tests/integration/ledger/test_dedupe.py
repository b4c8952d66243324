"""Keys: what is told again, and for how long."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gifting import errors
from gifting.ledger.commit import Reply
from gifting.ledger.status import Status
from gifting.model.money import make_key
from tests.support.world import LEAD, START, WINDOW, World


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_a_refusal_is_remembered(world: World) -> None:
    key = world.key()
    with pytest.raises(errors.InsufficientCoins):
        await world.send("bob", count=5, key=key)
    await world.grant("bob", 100)
    with pytest.raises(errors.InsufficientCoins, match="There are 0 coins"):
        await world.send("bob", count=5, key=key)
    (again,) = await world.together({"user": "bob", "count": 5, "key": key})
    assert again == Reply(1, Status.INSUFFICIENT_COINS, 0, 0, 0, 0)
    assert (await world.send("bob", count=5)).coins == 95


async def test_a_key_is_known_beyond_its_window(world: World) -> None:
    key = world.key()
    first = await world.send(key=key)
    world.clock[0] += WINDOW
    assert await world.send(key=key) == replace(first, duplicate=True)
    world.clock[0] += 1
    assert await world.send(key=key) == replace(first, duplicate=True)
    world.clock[0] += 60_000
    await world.forget()
    with pytest.raises(errors.KeyExpired):
        await world.send(key=key)
    assert await world.ledger.wallets.read("ann") == (999, 0)


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_keys_of_both_sides_of_a_bucket_edge(world: World) -> None:
    edge = START - START % 60_000
    keys = [make_key(edge + offset, bytes(10)) for offset in (-1, 0, 59_999, 60_000)]
    world.clock[0] = edge + 60_000
    fresh = await world.together(*({"key": key} for key in keys))
    again = await world.together(*({"key": key} for key in keys))
    assert [result.how for result in fresh] == [0] * 4
    assert again == [result._replace(how=1) for result in fresh]


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_duplicates_within_one_call(world: World) -> None:
    key = world.key()
    results = await world.together({"key": key}, {"key": key}, {"key": key, "count": 2}, {})
    assert [(result.how, result.status) for result in results] == [
        (0, Status.OK),
        (1, Status.OK),
        (0, Status.KEY_REUSED),
        (0, Status.OK),
    ]
    assert results[0].seq == results[1].seq == 1
    assert (await world.ledger.wallets.read("ann"))[0] == 998


async def test_grants_are_issued_once(world: World) -> None:
    key = world.key()
    assert await world.grant("bob", 5, key) == (5, False)
    await world.send("bob", count=2)
    assert await world.grant("bob", 5, key) == (5, True)
    with pytest.raises(errors.KeyReused):
        await world.grant("bob", 6, key)
    assert await world.grant("bob", 5, key) == (5, True)
    window = 30 * 86_400_000
    with pytest.raises(errors.KeyExpired):
        await world.grant("bob", 5, world.key(window + 1))
    with pytest.raises(errors.KeyInFuture):
        await world.grant("bob", 5, world.key(-LEAD - 1))
    assert await world.ledger.wallets.read("bob") == (3, 0)
