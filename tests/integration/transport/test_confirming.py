"""What has to be confirmed: on any node and by any way it is asked for, and one confirmation at most is spent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import Client, errors
from gifting.wire.confirm import CONFIRMATION
from tests.support.keys import new_key
from tests.support.raw import Raw, says
from tests.support.server import SECRET, Server

pytestmark = pytest.mark.slow

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
