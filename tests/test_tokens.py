"""Tokens on the running product: where they may be, for how long, until when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from server import Server
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> Any:
    async with Server(tmp_path / "data", redis_url, member_rate=0) as running:
        await running.room("r1")
        yield running


def socket(server: Server, query: str = "", offered: tuple[str, ...] = (), bearer: str = "") -> connect:
    return connect(
        server.url.replace("http", "ws") + "/v1/ws" + query,
        subprotocols=[Subprotocol(name) for name in offered] or None,
        additional_headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
        compression=None,
    )


async def refusal(attempt: connect) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        async with attempt:
            pass
    assert refused.value.response.body is not None
    return refused.value.response.status_code, msgspec.json.decode(refused.value.response.body)["code"]


async def pinged(open_socket: ClientConnection) -> bool:
    await open_socket.send(b'{"op":"ping","id":1}'.decode())
    return bool(msgspec.json.decode(await open_socket.recv())["ok"])


@pytest.mark.parametrize("role", ["viewer", "creator", "operator"])
async def test_a_token_that_can_spend_is_refused_in_an_address(server: Server, role: Any) -> None:
    token = server.token("ann", role)
    assert await refusal(socket(server, f"?token={token}")) == (403, "token_in_url")
    async with socket(server, bearer=token) as taken:
        assert await pinged(taken)


async def test_an_overlay_may_be_an_address(server: Server) -> None:
    async with socket(server, f"?token={server.token('host', 'overlay', room='r1')}") as taken:
        assert await pinged(taken)


@pytest.mark.parametrize("first", [True, False])
async def test_a_browser_sends_its_token_as_a_subprotocol(server: Server, first: bool) -> None:
    entry = f"gifting.token.{server.token('ann')}"
    offered = (entry, "gifting.v1.json") if first else ("gifting.v1.json", entry)
    async with socket(server, offered=offered) as taken:
        assert taken.subprotocol == "gifting.v1.json"
        assert await pinged(taken)
    assert await refusal(socket(server, offered=(entry,))) == (400, "bad_message")
    assert await refusal(socket(server, offered=(f"{entry}x", "gifting.v1.json"))) == (401, "bad_token")
