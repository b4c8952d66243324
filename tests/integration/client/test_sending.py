"""A gift of the Python client that is in doubt: said again, asked for, and never paid twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve

from gifting import errors
from gifting.client import Client
from gifting.client.sending import Sending
from tests.support.keys import forget_keys
from tests.support.proxy import Proxy
from tests.support.server import Server

pytestmark = pytest.mark.slow

WITHIN = 20.0


@pytest.mark.attack
@pytest.mark.parametrize("arrives", [True, False])
async def test_a_gift_whose_reply_was_lost_for_longer_than_the_window_is_not_paid_again(
    tmp_path: Path, redis_url: str, redis_client: Any, arrives: bool
) -> None:
    async with Server(tmp_path / "data", redis_url) as server, Proxy(server.url) as proxy:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 100)
        async with Client(proxy.url, server.token("ann")) as ann:
            await ann.gift_status(key := ann.new_key())
            proxy.mute = arrives
            if not arrives:
                proxy.cut(refuse=True)
            sending = asyncio.create_task(ann.send_gift("r1", "spark", 3, key=key))
            while arrives and (await server.operator.wallets(["ann"]))["ann"] != 97:
                await asyncio.sleep(0.01)
            proxy.cut(refuse=True)
            await forget_keys(redis_client)
            proxy.mend()
            if arrives:
                reply = await sending
                assert reply["duplicate"]
                assert (await ann.gift_status(key))["event_id"] == reply["event_id"]
            else:
                with pytest.raises(errors.NotCharged, match="a new key is safe"):
                    await sending
                assert (await ann.gift_status(key))["state"] == "unknown"
        assert await server.operator.wallets(["ann"]) == {"ann": 97 if arrives else 100}


class Forgetful:
    """A server that answers gifts and questions about them as it is told; ``LOST``: it closes instead."""

    LOST: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, gifts: list[dict[str, Any]], statuses: list[dict[str, Any]]) -> None:
        self._answers = {"send_gift": gifts, "gift_status": statuses}
        self.keys: dict[str, list[str]] = {"send_gift": [], "gift_status": []}
        self.confirmed: list[str] = []

    @asynccontextmanager
    async def run(self) -> AsyncIterator[str]:
        options: Any = {"subprotocols": ["gifting.v1.msgpack"], "compression": None}
        async with serve(self._handle, "127.0.0.1", 0, **options) as running:
            yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"

    async def _handle(self, socket: ServerConnection) -> None:
        async for data in socket:
            message = msgpack.unpackb(data)
            answer: dict[str, Any] = {"ok": True, "ts": time.time_ns() // 1_000_000}
            if message["op"] != "ping":
                self.keys[message["op"]].append(message["key"])
                self.confirmed += [message["confirm"]] if "confirm" in message else []
                answers = self._answers[message["op"]]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer is self.LOST:
                await socket.close(4000)
                return
            await socket.send(msgpack.packb({"re": message["id"], **answer}))


def refused(code: str) -> dict[str, Any]:
    error = errors.by_code(code)
    return {"ok": False, "error": {"code": code, "message": error.help, "temporary": error.temporary}}


LOST = Forgetful.LOST
RESULT = {"seq": 7, "event_id": "r1.7", "coins": 3, "repeat_count": 2, "streak_id": "r1.6"}
ACCEPTED = {"ok": True, "state": "accepted", "room": "r1", "gift": "spark", "count": 1, "spent": 1, "ts": 1, **RESULT}
PENDING = {"coins": 3, "pending": True}
STILL_PENDING = {
    "ok": True,
    "state": "accepted",
    "room": "r1",
    "gift": "spark",
    "count": 1,
    "spent": 1,
    "ts": 1,
    **PENDING,
}
REFUSED = {"ok": True, "state": "refused", "error": refused("insufficient_coins")["error"]}
OPEN = {"ok": True, "state": "open"}
UNKNOWN = {"ok": True, "state": "unknown"}
TOO_OLD = refused("key_expired")
TAKEN = {"ok": True, "duplicate": True, **RESULT}


@pytest.mark.attack
@pytest.mark.parametrize(
    ("gifts", "statuses", "outcome"),
    [
        ([LOST, TOO_OLD], [ACCEPTED], RESULT),
        ([LOST, LOST, LOST, refused("unknown_gift")], [ACCEPTED], RESULT),
        ([LOST, TOO_OLD], [LOST, refused("rate_limited"), ACCEPTED], RESULT),
        ([LOST, TOO_OLD], [REFUSED], errors.InsufficientCoins),
        ([LOST, TOO_OLD], [UNKNOWN], errors.NotCharged),
        ([LOST, TOO_OLD], [OPEN], errors.OutcomeUnknown),
        ([LOST, TOO_OLD], [refused("unknown_op")], errors.OutcomeUnknown),
        ([LOST, TOO_OLD], [{**ACCEPTED, "count": 2}], errors.KeyReused),
        ([LOST, refused("forbidden")], [LOST], errors.OutcomeUnknown),
        ([LOST, refused("forbidden")], [LOST, ACCEPTED], RESULT),
        ([LOST, refused("room_not_found"), TAKEN], [OPEN], RESULT),
        ([LOST, TOO_OLD], [STILL_PENDING], PENDING),
        ([LOST, {"ok": True, "duplicate": True, **PENDING}], [], PENDING),
        ([refused("outcome_unknown"), TOO_OLD], [ACCEPTED], RESULT),
        ([refused("outcome_unknown"), TOO_OLD], [UNKNOWN], errors.NotCharged),
        ([LOST], [ACCEPTED], RESULT),
        ([LOST], [OPEN], errors.OutcomeUnknown),
        ([refused("ledger_unavailable"), refused("insufficient_coins")], [], errors.InsufficientCoins),
        ([TOO_OLD], [], errors.KeyExpired),
    ],
)
async def test_of_a_gift_in_doubt_only_the_ledger_is_believed(
    gifts: list[dict[str, Any]], statuses: list[dict[str, Any]], outcome: Any
) -> None:
    server = Forgetful([*gifts], [*statuses])
    deadline = 0.5 if gifts[-1] is LOST or outcome is errors.OutcomeUnknown else WITHIN
    async with server.run() as url, Client(url, "t", deadline=deadline) as client:
        key = client.new_key()
        sending = Sending(client._connection, {"room": "r1", "gift": "spark", "count": 1, "key": key}, used=False)
        if isinstance(outcome, dict):
            reply = await sending.finish()
            assert reply["duplicate"]
            assert {name: value for name, value in reply.items() if name in {*RESULT, *PENDING}} == outcome
        else:
            with pytest.raises(outcome) as refusal:
                await sending.finish()
            assert type(refusal.value) is outcome
            assert "make a new key" not in str(refusal.value) or outcome is errors.KeyReused
            assert key in str(refusal.value) or outcome is not errors.OutcomeUnknown
    assert set(server.keys["send_gift"]) == {key}
    assert set(server.keys["gift_status"]) <= {key}


@pytest.mark.attack
@pytest.mark.parametrize(
    ("gift", "status", "outcome"),
    [
        (TOO_OLD, ACCEPTED, RESULT),
        (TOO_OLD, UNKNOWN, errors.NotCharged),
        (TOO_OLD, {"ok": True, "state": "refused", "error": TOO_OLD["error"]}, errors.NotCharged),
        (refused("unknown_gift"), OPEN, errors.UnknownGift),
        (refused("bad_key"), OPEN, errors.BadKey),
        (refused("forbidden"), OPEN, errors.Forbidden),
    ],
)
async def test_a_key_that_was_given_may_have_been_used(
    gift: dict[str, Any], status: dict[str, Any], outcome: Any
) -> None:
    async with Forgetful([gift], [status]).run() as url, Client(url, "t") as client:
        if isinstance(outcome, dict):
            assert (await client.send_gift("r1", "spark", key=client.new_key()))["seq"] == 7
        else:
            with pytest.raises(outcome):
                await client.send_gift("r1", "spark", key=client.new_key())


ASKS = {"ok": False, "error": refused("confirm_required")["error"] | {"confirm": "one", "until": 1_900_000_000_000}}
ASKS_ANEW = {"ok": False, "error": ASKS["error"] | {"confirm": "two"}}


@pytest.mark.parametrize(
    ("gifts", "statuses", "answers", "outcome", "confirmed"),
    [
        ([ASKS, TAKEN], [], [True], RESULT, ["one"]),
        ([ASKS, ASKS_ANEW, TAKEN], [], [True, True], RESULT, ["one", "two"]),
        ([ASKS, LOST, TAKEN], [], [True], RESULT, ["one", "one"]),
        ([ASKS, LOST, TOO_OLD], [ACCEPTED], [True], RESULT, ["one", "one"]),
        ([LOST, ASKS, TAKEN], [], [True], RESULT, ["one"]),
        ([ASKS], [], [False], errors.ConfirmRequired, []),
        ([ASKS], [], [True, True, True], errors.ConfirmRequired, ["one"] * 3),
        ([ASKS], [], None, errors.ConfirmRequired, []),
        ([ASKS, refused("insufficient_coins")], [], [True], errors.InsufficientCoins, ["one"]),
    ],
)
async def test_a_gift_that_has_to_be_confirmed_is_said_again_with_the_same_key(
    gifts: list[Any], statuses: list[Any], answers: list[bool] | None, outcome: Any, confirmed: list[str]
) -> None:
    server, asked = Forgetful([*gifts], statuses), [*(answers or [])]

    async def confirm(error: errors.ConfirmRequired) -> bool:
        assert error.until == 1_900_000_000_000
        return asked.pop(0)

    async with server.run() as url, Client(url, "t") as client:
        sending = client.send_gift("r1", "spark", confirm=None if answers is None else confirm)
        if isinstance(outcome, dict):
            assert (await sending)["seq"] == 7
        else:
            with pytest.raises(outcome):
                await sending
    assert asked == []
    assert server.confirmed == confirmed
    assert len(set(server.keys["send_gift"])) == 1


async def test_the_time_to_think_is_not_counted() -> None:
    async def confirm(error: errors.ConfirmRequired) -> bool:
        await asyncio.sleep(1.1)
        return True

    server = Forgetful([ASKS, TAKEN], [])
    async with server.run() as url, Client(url, "t", deadline=1) as client:
        assert (await client.send_gift("r1", "spark", confirm=confirm))["seq"] == 7
