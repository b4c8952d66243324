"""What has to be confirmed: on any node and by any way it is asked for, and one confirmation at most is spent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import Client, errors
from gifting.model.catalog import parse_catalog
from gifting.model.house import PersonChange
from gifting.model.standing import Standing
from gifting.model.terms import Terms
from gifting.rulebook import Rulebook
from gifting.transport.giving import Giving
from gifting.transport.moderating import Moderating
from gifting.wire.confirm import CONFIRMATION, GOOD_FOR_MS
from gifting.wire.keyring import Keyring
from gifting.wire.messages import SendGift
from tests.support.keys import new_key
from tests.support.raw import Raw, says
from tests.support.server import SECRET, Server
from tests.support.world import START, World, a_world

pytestmark = pytest.mark.slow

DEARER = """
[[gift]]
id = "spark"
name = "Spark"
coins = 3
tier = "small"
"""
OTHER = "another secret for tests only of 32 bytes"


@pytest.fixture
async def nodes(redis_url: str, redis_client: Any, tmp_path: Path) -> AsyncIterator[list[Server]]:
    """Two, by one secret each believes; what the first signs with is the other's old one."""
    async with (
        Server(tmp_path / "a", redis_url, confirm_first_gift=True, member_rate=0) as one,
        Server(tmp_path / "b", redis_url, confirm_first_gift=True, member_rate=0, secret=f"{OTHER}\n{SECRET}") as other,
    ):
        await one.room("r1")
        await one.operator.grant_each(["ann", "bob"], 100_000)
        yield [one, other]


async def refusal(raw: Raw, **fields: Any) -> dict[str, Any]:
    """The error of a gift."""
    raw.writer.write(says(op="send_gift", id=1, **{"room": "r1", "gift": "spark", **fields}))
    reply = await raw.reply(1)
    assert not reply["ok"], reply
    return dict(reply["error"])


async def test_a_first_gift_is_asked_about_and_goes_through_on_another_node(nodes: list[Server]) -> None:
    one, other = nodes
    key = new_key()
    error = await refusal(await Raw.upgraded(one, one.token("ann")), key=key, count=3)
    assert error["code"] == "confirm_required"
    assert re.match(CONFIRMATION, error["confirm"])
    assert error["price"] == {"amount": 5, "currency": "USD"}
    assert "3 coins, 0.05 USD at most" in error["message"]
    body = {"gift": "spark", "key": key, "count": 3, "confirm": error["confirm"]}
    caller = other.caller("ann", "viewer")
    told = [await caller.call("POST", "/v1/rooms/r1/gifts", body) for _ in range(3)]
    assert [(one["coins"], one["duplicate"]) for one in told] == [(99_997, False), (99_997, True), (99_997, True)]
    async with Client(one.url, one.token("ann")) as ann:
        assert (await ann.send_gift("r1", "spark"))["coins"] == 99_996, "the first is over"


async def test_over_http_it_says_the_same(nodes: list[Server]) -> None:
    body = {"gift": "phoenix", "key": new_key(), "anonymous": True}
    callers = [node.caller("ann", "viewer", region="JP") for node in nodes]
    for caller in callers:
        with pytest.raises(errors.ConfirmRequired) as asked:
            await caller.call("POST", "/v1/rooms/r1/gifts", body)
        assert asked.value.confirm and asked.value.price and asked.value.price[1] == "JPY"
    with pytest.raises(errors.ConfirmRequired):
        await callers[0].call("POST", "/v1/rooms/r1/gifts", body | {"confirm": asked.value.confirm, "anonymous": False})
    confirmed = body | {"confirm": asked.value.confirm}
    with pytest.raises(errors.ConfirmRequired):
        await callers[0].call("POST", "/v1/rooms/r1/gifts", confirmed)  # by a secret that this one does not believe
    assert (await callers[1].call("POST", "/v1/rooms/r1/gifts", confirmed))["coins"] == 100_000 - 19_999


@pytest.mark.attack
async def test_a_confirmation_is_for_nothing_else(nodes: list[Server]) -> None:
    one = nodes[0]
    ann, bob = [await Raw.upgraded(one, one.token(user)) for user in ("ann", "bob")]
    key = new_key()
    good = (await refusal(ann, key=key, count=2))["confirm"]
    wrong: list[tuple[Raw, dict[str, Any]]] = [
        (bob, {"key": key, "count": 2}),
        (ann, {"key": new_key(), "count": 2}),
        (ann, {"key": key, "count": 3}),
        (ann, {"key": key, "count": 2, "gift": "petal"}),
        (ann, {"key": key, "count": 2, "message": "hi"}),
        (ann, {"key": key, "count": 2, "anonymous": True}),
        (ann, {"key": key, "count": 2, "confirm": good[::-1]}),
        (ann, {"key": key, "count": 2, "confirm": "A" * 32}),
    ]
    for raw, fields in wrong:
        error = await refusal(raw, **{"confirm": good, **fields})
        assert error["code"] == "confirm_required"
        assert error["confirm"] != good
    for text in ("", "x", good + "A", 7, good.replace(good[3], "é")):
        assert (await refusal(ann, key=key, count=2, confirm=text))["code"] == "bad_message"
    assert await one.operator.wallets(["ann", "bob"]) == {"ann": 100_000, "bob": 100_000}


@pytest.mark.attack
async def test_of_all_confirmations_of_a_key_one_is_spent(nodes: list[Server]) -> None:
    """Asked for on two nodes at once, for two contents, and all said again at once, on both."""
    key = new_key()
    callers = [node.caller("ann", "viewer") for node in nodes]

    async def send(caller: Any, **more: Any) -> Any:
        try:
            return await caller.call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "key": key, **more})
        except errors.GiftingError as error:
            return error

    contents = [{"count": count} for count in (1, 2)]
    asked = await asyncio.gather(*(send(caller, **what) for caller in callers for what in contents for _ in range(5)))
    assert {type(error) for error in asked} == {errors.ConfirmRequired}
    said = [(caller, {**what, "confirm": error.confirm}) for caller in callers for what in contents for error in asked]
    told = await asyncio.gather(*(send(caller, **fields) for caller, fields in said))
    taken = [one for one in told if isinstance(one, dict)]
    assert sum(not one["duplicate"] for one in taken) == 1
    rest = {type(one) for one in told if not isinstance(one, dict)}
    assert rest <= {errors.ConfirmRequired, errors.KeyReused}
    [spent] = {100_000 - one["coins"] for one in taken}
    assert spent in (1, 2)
    assert (await nodes[0].operator.wallets(["ann"]))["ann"] == 100_000 - spent
    assert (await nodes[0].audit())[0] == 0


# With a clock that stands.


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
