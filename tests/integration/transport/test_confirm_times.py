"""What has to be confirmed, where the clock stands: for how long, by which secret, at which price, and what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.model.catalog import parse_catalog
from gifting.model.house import PersonChange
from gifting.model.standing import Standing
from gifting.model.terms import Terms
from gifting.rulebook import Rulebook
from gifting.transport.giving import Giving
from gifting.transport.moderating import Moderating
from gifting.wire.confirm import GOOD_FOR_MS
from gifting.wire.keyring import Keyring
from gifting.wire.messages import SendGift
from tests.support.server import SECRET
from tests.support.world import START, World, a_world

pytestmark = pytest.mark.slow

OTHER = "another secret for tests only of 32 bytes"
DEARER = """
[[gift]]
id = "spark"
name = "Spark"
coins = 3
tier = "small"
"""


class Asking:
    """A world, and what gives confirmations there; ``secrets`` may change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.secrets = [SECRET]
        moderating = Moderating(world.ledger, Rulebook(world.ledger.settings), asyncio.ensure_future)
        self.giving = Giving(world.ledger, moderating, lambda: Keyring(self.secrets), lambda standing, coins: None)
        self.sender = world.sender("ann", Terms(confirm_first=True))
        world.ledger.now_ms = lambda: world.clock[0]  # type: ignore[method-assign]

    def wish(self, key: str, confirm: str | None = None, **more: Any) -> SendGift:
        return SendGift(id=1, room="r1", gift="spark", key=key, confirm=confirm, **more)

    async def send(self, wish: SendGift) -> Any:
        try:
            return await self.giving.send(self.sender, Standing(), self.world.room, wish)
        except errors.GiftingError as error:
            return error


@pytest.fixture
async def asking(redis_client: Redis, redis_url: str) -> AsyncIterator[Asking]:
    async with a_world(redis_url) as world:
        await world.grant("ann", 100)
        yield Asking(world)


async def test_it_is_good_for_minutes_and_then_asked_for_anew(asking: Asking) -> None:
    key = asking.world.key()
    asked = await asking.send(asking.wish(key))
    assert asked.until == START + GOOD_FOR_MS
    asking.world.clock[0] = asked.until
    again = await asking.send(asking.wish(key, asked.confirm))
    assert isinstance(again, errors.ConfirmRequired)
    assert again.until == START + 2 * GOOD_FOR_MS, "no longer than the key is: that is ten minutes"
    asking.world.clock[0] = again.until - 1
    assert (await asking.send(asking.wish(key, again.confirm))).coins == 99


async def test_it_is_no_longer_good_than_its_key(asking: Asking) -> None:
    old = asking.world.key(600_000 - 1000)
    asked = await asking.send(asking.wish(old))
    assert asked.until == START + 1000
    asking.world.clock[0] += 1001
    assert isinstance(await asking.send(asking.wish(old, asked.confirm)), errors.KeyExpired)


async def test_a_secret_that_is_rotated_confirms_until_it_is_gone(asking: Asking) -> None:
    keys = [asking.world.key() for _ in range(2)]
    asked = [await asking.send(asking.wish(key)) for key in keys]
    asking.secrets = [OTHER]
    assert isinstance(await asking.send(asking.wish(keys[0], asked[0].confirm)), errors.ConfirmRequired)
    asking.secrets = [OTHER, SECRET]
    assert (await asking.send(asking.wish(keys[1], asked[1].confirm))).coins == 99


async def test_another_price_is_another_gift(asking: Asking) -> None:
    key = asking.world.key()
    asked = await asking.send(asking.wish(key))
    asking.world.ledger.use_catalog(parse_catalog(DEARER, "test"))
    again = await asking.send(asking.wish(key, asked.confirm))
    assert isinstance(again, errors.ConfirmRequired)
    assert "It costs 3 coins" in str(again)
    assert (await asking.send(asking.wish(key, again.confirm))).coins == 97


async def test_what_was_confirmed_once_is_asked_about_the_next_time(asking: Asking) -> None:
    asking.sender = asking.world.sender("ann", Terms(confirm_above=1))
    for left in (98, 96):
        key = asking.world.key()
        asked = await asking.send(asking.wish(key, count=2))
        assert isinstance(asked, errors.ConfirmRequired)
        assert (await asking.send(asking.wish(key, asked.confirm, count=2))).coins == left


async def test_being_asked_leaves_all_keys_as_they_were(asking: Asking) -> None:
    before = await asking.world.state()
    for confirm in (None, "A" * 32):
        assert isinstance(await asking.send(asking.wish(asking.world.key(), confirm)), errors.ConfirmRequired)
    assert await asking.world.state() == before


async def test_who_is_blocked_stays_so_anonymously(asking: Asking) -> None:
    world = asking.world
    await world.ledger.people.decide(world.room, "ann", PersonChange(blocked=True))
    asking.sender = world.sender("ann")
    for anonymous in (False, True):
        found = await asking.send(asking.wish(world.key(), anonymous=anonymous))
        assert isinstance(found, errors.Blocked)
