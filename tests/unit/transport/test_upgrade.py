"""The short way in is for whole first requests only; everything else is uvicorn's."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gifting.config import load
from gifting.logs import Refusals
from gifting.transport.handover import Upgraded
from gifting.transport.handshake import Upgrade, read_upgrade
from gifting.transport.lobby import Lobby
from gifting.transport.upgrade import UpgradeProtocol
from tests.support.upgrade import HEADERS, request


class Transport(asyncio.Transport):
    """Records what is written and who reads."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.protocol: Any = None

    def write(self, data: Any) -> None:
        self.written += data

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Connection(Upgraded):
    """Stands for the real one: notes which way it was opened."""

    def __init__(self, address: Any) -> None:
        self.upgrade: Upgrade | None = None

    def open(self, upgrade: Upgrade) -> None:
        self.upgrade = upgrade

    def connection_lost(self, exc: Exception | None) -> None: ...


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Client:
    """One socket: what is sent goes to whoever has it."""

    def __init__(self) -> None:
        time = asyncio.get_running_loop().time
        self.refused = Counter[str]()
        self.lobby = Lobby(load({"head_max": 4096}, environ={}), time, Refusals(self.refused, time))
        self.state = ServerState()
        self.transport = Transport()
        config = uvicorn.Config(nothing, ws="none", lifespan="off", log_config=None)
        protocol = UpgradeProtocol(self.lobby, Connection, config=config, server_state=self.state, app_state={})
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        self.transport.protocol.data_received(data)

    @property
    def upgrade(self) -> Any:
        """What the socket was opened with, if it is a WebSocket."""
        return getattr(self.transport.protocol, "upgrade", None)

    @property
    def written(self) -> bytes:
        return self.transport.written

    async def until_answered(self) -> None:
        await asyncio.gather(*self.state.tasks)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.until_answered()
    made.transport.protocol.connection_lost(None)


async def test_a_whole_first_request_is_opened_at_once(client: Client) -> None:
    client.send(request(*HEADERS) + b"frames")
    assert client.upgrade.target == "/v1/ws?token=x"
    assert client.upgrade.rest == b"frames"
    assert not client.state.connections
    assert (len(client.lobby), client.lobby.sockets) == (0, 1)


async def test_what_has_served_is_let_go_of(client: Client) -> None:
    """Without waiting for the garbage collector: a parser holds what it calls, and is held by it."""
    data = request(*HEADERS)
    client.send(data[:20])
    http = weakref.ref(client.transport.protocol)
    gc.disable()
    try:
        client.send(data[20:])
        assert client.upgrade is not None
        assert http() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("cut", [1, 20, 60, len(request(*HEADERS)) - 1])
async def test_a_request_in_pieces_goes_the_long_way_to_the_same_place(client: Client, cut: int) -> None:
    data = request(*HEADERS) + b"frames"
    client.send(data[:cut])
    client.send(data[cut:])
    assert client.upgrade == read_upgrade(data, 4096)


async def test_what_looks_like_a_request_in_the_middle_of_another_is_none(client: Client) -> None:
    """A header's value that arrives by itself, as a proxy may send it on."""
    client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Text: ")
    client.send(request(*HEADERS[1:]))
    assert client.upgrade.target == "/healthz", "which is no address of a WebSocket"


async def test_a_second_request_goes_the_long_way(client: Client) -> None:
    client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.until_answered()
    assert b"204" in client.written
    client.send(request(*HEADERS))
    assert client.upgrade.target == "/v1/ws?token=x"


async def test_a_request_for_another_protocol_is_answered_as_if_it_had_not_asked(client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\nPRI *")
    await client.until_answered()
    assert client.written.startswith(b"HTTP/1.1 204 ")
    assert b"connection: close" in client.written


async def test_an_upgrade_while_another_request_is_answered_is_refused(client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + request(*HEADERS))
    assert client.written.startswith(b"HTTP/1.1 400 ")
    assert client.upgrade is None


async def test_what_the_long_way_refuses_is_counted_and_logged_too(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gifting.upgrades")
    client.send(request(*HEADERS).replace(b"Version: 13", b"Version: 12"))
    assert client.written.startswith(b"HTTP/1.1 426 ")
    assert client.refused == {"upgrade_required": 1}
    (line,) = caplog.messages
    assert line.startswith("refused to a peer: ")


async def test_a_request_in_many_pieces_may_have_all_that_one_in_one_piece_may(client: Client) -> None:
    """Also after others on the same connection, whose bytes are not its own."""
    whole = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 3500 + b"\r\n\r\n"
    for step in (100, 3000, len(whole)):
        client.transport.written = b""
        for start in range(0, len(whole), step):
            client.send(whole[start : start + step])
        await client.until_answered()
        assert client.written.startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("step", [1 << 20, 1000])
async def test_a_longer_one_may_not(client: Client, step: int) -> None:
    whole = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 4100 + b"\r\n\r\n"
    for start in range(0, len(whole), step):
        client.send(whole[start : start + step])
    assert client.written.startswith(b"HTTP/1.1 431 ")
    assert not client.state.tasks
