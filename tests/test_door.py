"""The short way in is for whole first requests only; everything else is uvicorn's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from test_handshake import HEADERS, request
from uvicorn.server import ServerState

from gifting.hub.door import Door
from gifting.hub.handshake import HeaderValues


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

    def close(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Connection(asyncio.Protocol):
    """Stands for the hub's: notes which way it was opened."""

    def __init__(self, **uvicorn: Any) -> None:
        self.target: str | None = None
        self.data = b""

    def open(self, target: str, key: str, values: HeaderValues) -> None:
        self.target = target
        assert values("Sec-WebSocket-Key") == (key,)

    def data_received(self, data: bytes) -> None:
        self.data += data


class Hub:
    protocol = staticmethod(Connection)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def door() -> Any:
    config = uvicorn.Config(nothing, ws=Connection, lifespan="off", log_config=None)  # type: ignore[arg-type]
    made = Door(Hub(), config=config, server_state=ServerState(), app_state={})  # type: ignore[arg-type]
    made.connection_made(Transport())
    yield made
    await asyncio.gather(*made.tasks)
    if made.timeout_keep_alive_task is not None:
        made.timeout_keep_alive_task.cancel()


async def test_a_whole_first_request_is_opened_at_once(door: Any) -> None:
    door.data_received(request(*HEADERS))
    assert door.transport.protocol.target == "/v1/ws?token=x"
    assert door.parser is None, "what holds it is let go of"
    assert door not in door.connections


async def test_a_request_in_pieces_goes_the_long_way_to_the_same_place(door: Any) -> None:
    data = request(*HEADERS)
    door.data_received(data[:20])
    door.data_received(data[20:])
    assert door.transport.protocol.target is None
    assert door.transport.protocol.data.startswith(b"GET /v1/ws?token=x HTTP/1.1\r\n")
    assert door.parser is None


async def test_what_looks_like_a_request_in_the_middle_of_another_is_none(door: Any) -> None:
    """A header's value that arrives by itself, as a proxy may send it on."""
    door.data_received(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Text: ")
    door.data_received(request(*HEADERS))
    assert door.transport.protocol.target is None
    assert door.transport.protocol.data.startswith(b"GET /healthz HTTP/1.1\r\n"), "which is no address of a WebSocket"


async def test_a_second_request_goes_the_long_way(door: Any) -> None:
    door.data_received(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.gather(*door.tasks)
    assert b"204" in door.transport.written
    door.data_received(request(*HEADERS))
    assert door.transport.protocol.target is None
    assert door.transport.protocol.data
