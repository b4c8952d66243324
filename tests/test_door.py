"""The short way in is for whole first requests only; everything else is uvicorn's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from test_handshake import HEADERS, request
from uvicorn.server import ServerState

from gifting.config import load
from gifting.hub.door import Door
from gifting.hub.handshake import Upgrade, read_upgrade
from gifting.hub.lobby import Lobby


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


class Connection(asyncio.Protocol):
    """Stands for the hub's: notes which way it was opened."""

    def __init__(self, address: Any) -> None:
        self.upgrade: Upgrade | None = None

    def open(self, upgrade: Upgrade) -> None:
        self.upgrade = upgrade


class Hub:
    """Stands for the real one: no rooms, no tokens."""

    protocol = staticmethod(Connection)

    def __init__(self) -> None:
        self.settings = load({"head_max": 4096}, environ={})
        self.time = asyncio.get_running_loop().time
        self.lobby = Lobby(self.settings, self.time)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def door() -> Any:
    config = uvicorn.Config(nothing, ws="none", lifespan="off", log_config=None)
    made = Door(Hub(), config=config, server_state=ServerState(), app_state={})  # type: ignore[arg-type]
    made.connection_made(Transport())
    yield made
    await asyncio.gather(*made.tasks)
    if made.timeout_keep_alive_task is not None:
        made.timeout_keep_alive_task.cancel()


async def test_a_whole_first_request_is_opened_at_once(door: Any) -> None:
    door.data_received(request(*HEADERS) + b"frames")
    assert door.transport.protocol.upgrade.target == "/v1/ws?token=x"
    assert door.transport.protocol.upgrade.rest == b"frames"
    assert door.parser is None, "what holds it is let go of"
    assert door not in door.connections
    assert (len(door._hub.lobby), door._hub.lobby.sockets) == (0, 1)


@pytest.mark.parametrize("cut", [1, 20, 60, len(request(*HEADERS)) - 1])
async def test_a_request_in_pieces_goes_the_long_way_to_the_same_place(door: Any, cut: int) -> None:
    data = request(*HEADERS) + b"frames"
    door.data_received(data[:cut])
    door.data_received(data[cut:])
    assert door.transport.protocol.upgrade == read_upgrade(data, 4096)
    assert door.parser is None


async def test_what_looks_like_a_request_in_the_middle_of_another_is_none(door: Any) -> None:
    """A header's value that arrives by itself, as a proxy may send it on."""
    door.data_received(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Text: ")
    door.data_received(request(*HEADERS[1:]))
    assert door.transport.protocol.upgrade.target == "/healthz", "which is no address of a WebSocket"


async def test_a_second_request_goes_the_long_way(door: Any) -> None:
    door.data_received(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.gather(*door.tasks)
    assert b"204" in door.transport.written
    door.data_received(request(*HEADERS))
    assert door.transport.protocol.upgrade.target == "/v1/ws?token=x"


async def test_a_request_for_another_protocol_is_answered_as_if_it_had_not_asked(door: Any) -> None:
    door.data_received(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\nPRI *")
    await asyncio.gather(*door.tasks)
    assert door.transport.written.startswith(b"HTTP/1.1 204 ")
    assert b"connection: close" in door.transport.written


async def test_an_upgrade_while_another_request_is_answered_is_refused(door: Any) -> None:
    door.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + request(*HEADERS))
    assert door.transport.written.startswith(b"HTTP/1.1 400 ")
    assert door.transport.protocol is None


async def test_a_request_in_many_pieces_may_have_all_that_one_in_one_piece_may(door: Any) -> None:
    """Also after others on the same connection, whose bytes are not its own."""
    whole = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 3500 + b"\r\n\r\n"
    for step in (100, 3000, len(whole)):
        door.transport.written = b""
        for start in range(0, len(whole), step):
            door.data_received(whole[start : start + step])
        await asyncio.gather(*door.tasks)
        assert door.transport.written.startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("step", [1 << 20, 1000])
async def test_a_longer_one_may_not(door: Any, step: int) -> None:
    whole = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 4100 + b"\r\n\r\n"
    for start in range(0, len(whole), step):
        door.data_received(whole[start : start + step])
    assert door.transport.written.startswith(b"HTTP/1.1 431 ")
    assert not door.tasks
