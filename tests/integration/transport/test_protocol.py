"""The wire protocol from outside: a plain WebSocket client with hand-made messages, good and bad."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.keys import new_key
from tests.support.server import Server
from tests.support.upgrade import HEADERS, request

pytestmark = pytest.mark.slow

JSON, MSGPACK = "gifting.v1.json", "gifting.v1.msgpack"


@pytest.fixture
async def server(redis_url: str, redis_client: Any, tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url, member_rate=0, message_rate=1000, message_burst=2000) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 1000)
        yield running


def dial(server: Server, token: str, protocol: str | None = JSON, **extra: Any) -> Any:
    return connect(
        server.url.replace("http", "ws") + "/v1/ws",
        subprotocols=[protocol] if protocol else None,  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {token}", **extra},
        compression=None,
    )


async def ask(socket: ClientConnection, message: Any) -> dict[str, Any]:
    """Send one message; the next reply, events passed over."""
    await socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    async with asyncio.timeout(10):
        while True:
            got = await socket.recv()
            reply: dict[str, Any] = json.loads(got) if isinstance(got, str) else msgpack.unpackb(got)
            if "ok" in reply:
                return reply


def code(reply: dict[str, Any]) -> str:
    assert reply["ok"] is False
    assert reply["error"]["message"]
    return str(reply["error"]["code"])


GIFT = {"op": "send_gift", "id": 1, "room": "r1", "gift": "spark", "key": "01936f2e-8c1a-7b1e-9c3d-2f6a1b0c4d5e"}

BAD = [
    ("{", "bad_message"),
    ("[]", "bad_message"),
    ("7", "bad_message"),
    ({}, "bad_message"),
    ({"op": "dance", "id": 1}, "unknown_op"),
    ({"op": 7, "id": 1}, "bad_message"),
    ({"op": "ping"}, "bad_message"),
    ({"op": "ping", "id": -1}, "bad_message"),
    ({"op": "ping", "id": 1.5}, "bad_message"),
    ({"op": "ping", "id": True}, "bad_message"),
    ({"op": "ping", "id": 2**60}, "bad_message"),
    ({"op": "join", "id": 1}, "bad_message"),
    ({"op": "join", "id": 1, "room": 5}, "bad_message"),
    ({"op": "join", "id": 1, "room": "nowhere"}, "room_not_found"),
    ({"op": "join", "id": 1, "room": "r1", "since": -1}, "bad_message"),
    ({"op": "join", "id": 1, "room": "r1", "lane": "fast"}, "bad_message"),
    ({"op": "leave", "id": 1, "room": "r1"}, "not_joined"),
    ({"op": "comment", "id": 1, "room": "r1", "text": ""}, "bad_message"),
    ({"op": "comment", "id": 1, "room": "r1", "text": "x" * 501}, "bad_message"),
    ({"op": "like", "id": 1, "room": "r1", "count": 0}, "bad_message"),
    ({"op": "refresh", "id": 1, "token": "x"}, "bad_token"),
    ({**GIFT, "count": 0}, "bad_message"),
    ({**GIFT, "count": 10_000}, "bad_message"),
    ({**GIFT, "count": "1"}, "bad_message"),
    ({**GIFT, "count": 1.5}, "bad_message"),
    ({**GIFT, "key": "nope"}, "bad_key"),
    ({**GIFT, "key": GIFT["key"].replace("-7", "-4", 1)}, "bad_key"),  # type: ignore[attr-defined]
    ({**GIFT, "key": GIFT["key"]}, "key_expired"),
    ({**GIFT, "key": "f" + str(GIFT["key"])[1:]}, "key_in_future"),
    ({**GIFT, "gift": 9}, "bad_message"),
    ({**GIFT, "room": "x" * 65}, "bad_message"),
    ({**GIFT, "message": "x" * 201}, "bad_message"),
]


async def test_bad_messages_get_a_code_and_charge_nothing(server: Server) -> None:
    async with dial(server, server.token("ann")) as socket:
        for message, expected in BAD:
            assert code(await ask(socket, message)) == expected, message
        assert code(await ask(socket, {**GIFT, "gift": "dragon", "key": new_key()})) == "unknown_gift"
        assert (await ask(socket, {"op": "ping", "id": 9}))["re"] == 9
    assert await server.operator.wallets(["ann"]) == {"ann": 1000}


async def test_both_subprotocols_and_none(server: Server) -> None:
    async with dial(server, server.token("ann"), MSGPACK) as socket:
        assert socket.subprotocol == MSGPACK
        assert (await ask(socket, bytes.fromhex("82a26f70a470696e67a2696402")))["re"] == 2
        assert code(await ask(socket, b"\xc1")) == "bad_message"
        assert code(await ask(socket, msgpack.packb({"op": "ping"})[:-2])) == "bad_message"
    async with dial(server, server.token("ann"), None) as socket:
        assert (await ask(socket, {"op": "ping", "id": 3}))["ts"] > 0
    with pytest.raises(InvalidStatus) as refused:
        await dial(server, server.token("ann"), "gifting.v9").__aenter__()
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize(
    ("token", "status", "expected"),
    [("x", 401, "bad_token"), ("expired", 401, "token_expired"), ("", 401, "bad_token")],
)
async def test_bad_tokens_are_refused_before_the_upgrade(
    server: Server, token: str, status: int, expected: str
) -> None:
    given = server.token("ann", ttl=-10) if token == "expired" else token
    with pytest.raises(InvalidStatus) as refused:
        await dial(server, given).__aenter__()
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["code"] == expected


async def test_other_sites_may_not_connect(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await dial(server, server.token("ann"), Origin="https://elsewhere.example").__aenter__()
    assert refused.value.response.status_code == 403
    async with dial(server, server.token("ann"), Origin=server.url):
        pass


async def test_roles_and_rooms(server: Server) -> None:
    await server.room("r2")
    async with dial(server, server.token("host", "overlay", room="r1")) as socket:
        assert code(await ask(socket, GIFT)) == "forbidden"
        assert code(await ask(socket, {"op": "join", "id": 1, "room": "r2"})) == "forbidden"
        assert (await ask(socket, {"op": "join", "id": 1, "room": "r1"}))["room"]["host"]["id"] == "host"


@pytest.mark.parametrize(
    ("frame", "close"),
    [
        (b"\x82\xfe\x20\x00" + b"\0" * 4 + b"x" * 0x2000, 1009),  # over the message limit
        (b"\x81\x83\0\0\0\0\xff\xfe\xfd", 1007),  # text that is no UTF-8
        (b"\x82\x03abc", 1002),  # not masked
        (b"\xf2\x83\0\0\0\0abc", 1002),  # reserved bits
        (b"\x80\x81\0\0\0\0a", 1002),  # a continuation of nothing
    ],
)
async def test_violations_of_websocket_close_with_its_codes(server: Server, frame: bytes, close: int) -> None:
    async with dial(server, server.token("ann")) as socket:
        socket.transport.write(frame)
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(10):
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == close


async def test_fragments_and_pings_between_them(server: Server) -> None:
    async with dial(server, server.token("ann")) as socket:

        async def pieces() -> AsyncIterator[str]:
            text = json.dumps({"op": "ping", "id": 5})
            yield text[:4]
            await (await socket.ping())
            yield text[4:]

        await socket.send(pieces())
        assert json.loads(await socket.recv())["re"] == 5


async def test_replay_is_exact_and_a_lost_past_is_told(server: Server) -> None:
    async with dial(server, server.token("ann")) as socket:
        for number in range(6):
            assert (await ask(socket, {"op": "comment", "id": number, "room": "r1", "text": "x"}))["ok"]
    for since in range(6):
        async with dial(server, server.token("bob")) as socket:
            reply = await ask(socket, {"op": "join", "id": 1, "room": "r1", "since": since, "lane": "all"})
            assert reply["gap"] is False
            seqs: list[int] = []
            while not seqs or seqs[-1] < 6:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
                seqs += [event["seq"] for event in frame["events"] if "seq" in event]
            assert seqs == list(range(since + 1, 7))
    async with dial(server, server.token("bob")) as socket:
        for lane in ("all", "live"):
            assert (await ask(socket, {"op": "join", "id": 1, "room": "r1", "since": 99, "lane": lane}))["gap"] is True
            assert (await ask(socket, {"op": "comment", "id": 2, "room": "r1", "text": "x"}))["ok"]


async def test_expired_tokens_close_the_socket(server: Server) -> None:
    async with dial(server, server.token("ann", ttl=3)) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(10):
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4501


async def test_a_flood_is_served_at_the_rate_that_is_allowed(redis_url: str, redis_client: Any, tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    async with Server(tmp_path / "data", redis_url, message_rate=1, message_burst=4) as server:
        began = clock()
        async with dial(server, server.token("ann")) as socket:
            for number in range(5):
                await socket.send(json.dumps({"op": "ping", "id": number}))
            replies = [json.loads(await socket.recv()) for _ in range(5)]
            assert [(reply["re"], reply["ok"]) for reply in replies] == [(number, True) for number in range(5)]
            assert clock() - began > 0.9, "four at once, of which the last overdrew, as one was for the connection"
            with pytest.raises(InvalidStatus) as refused:  # to come back gives no new allowance
                await dial(server, server.token("ann")).__aenter__()
            assert refused.value.response.status_code == 429
            assert json.loads(refused.value.response.body)["code"] == "rate_limited"
        async with dial(server, server.token("bob")) as other:
            assert (await ask(other, {"op": "ping", "id": 1}))["ok"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(blobs=st.lists(st.binary(max_size=300), min_size=1, max_size=10))
def test_random_bytes_never_break_a_codec(blobs: list[bytes]) -> None:
    from gifting.errors import BadRequest
    from gifting.wire.codec import CODECS

    for codec in CODECS.values():
        for blob in [*blobs, os.urandom(50)]:
            try:
                codec.decode(blob)
            except Exception as error:
                assert isinstance(codec.explain(blob, error)[1], BadRequest)


async def test_a_request_that_is_no_upgrade_to_a_websocket_says_why(server: Server) -> None:
    """These go the long way."""
    host, port = server.url.removeprefix("http://").split(":")
    for changed, status in (("Sec-WebSocket-Version: 7", b"426"), ("Sec-WebSocket-Key: short", b"400")):
        name = changed.partition(":")[0]
        lines = [line for line in HEADERS if not line.startswith(name)] + [changed]
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request(*lines))
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 " + status), answer
        assert name.encode() in answer.partition(b"\r\n\r\n")[2]
        writer.close()
        await writer.wait_closed()
