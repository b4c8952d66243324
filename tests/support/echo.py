"""A server that says what it hears: the real upgrade and the real connection, with nothing but an echo behind them.

``python -m tests.support.echo PORT`` runs it for Autobahn's ``wstest -m fuzzingclient`` and prints the address to give
to that.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from gifting.config import load
from gifting.hub.hub import Hub
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.transport.connection import Connection
from gifting.transport.gateway import Gateway
from gifting.transport.upgrade import UpgradeProtocol
from gifting.wire.codec import TEXT
from gifting.wire.framing import frame
from gifting.wire.keyring import Keyring
from gifting.wire.tokens import issue

SECRET: Final = "an echo's secret, thirty-two bytes"
UNLIMITED: Final = 1_000_000_000
SETTINGS: Final = {
    "message_max": 1 << 20,
    **dict.fromkeys(("message_rate", "message_burst", "byte_rate", "byte_burst", "user_connections"), UNLIMITED),
}


class Echo(Connection):
    """Hears what a connection hears and says it again."""

    __slots__ = ()

    def _read_message(self, opcode: int, data: bytes) -> None:
        if opcode != TEXT or self._check_text(data):
            self._transport.write(frame(opcode, data))


@asynccontextmanager
async def echo_server(port: int = 0) -> AsyncIterator[str]:
    """The address of one: ``http://HOST:PORT``."""
    settings = load(SETTINGS, environ={})
    ledger = Ledger("redis://127.0.0.1:1", settings, load_catalog())
    gateway = Gateway(ledger, Hub(ledger.rooms, settings, "echo"), settings, Keyring([SECRET]))
    config = uvicorn.Config(nothing, ws="none", lifespan="off", log_config=None)
    made = partial(
        UpgradeProtocol, gateway.lobby, partial(Echo, gateway), config=config, server_state=ServerState(), app_state={}
    )
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", port)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    finally:
        server.close()
        await gateway.drain(0.5)
        await gateway.stop()
        await gateway.hub.stop()


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def token() -> str:
    return issue(SECRET, "echo", "overlay", now=time.time(), ttl=10_000, room="r")


async def run(port: int) -> None:
    async with echo_server(port) as url:
        print(f"{url.replace('http', 'ws')}/v1/ws?token={token()}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(run(int(sys.argv[1])))
