"""The way in: uvicorn's HTTP protocol, with a short way to the hub for the usual upgrade.

After a reconnect storm this is most of what a server does. uvicorn would parse the request, write it out again and have
it parsed once more; here it is read once. Everything else goes the long way.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gifting.hub.handshake import read_upgrade
from gifting.hub.hub import Hub


class Door(HttpToolsProtocol):
    """Made by uvicorn for each connection as ``Door(hub, config=, server_state=, app_state=)``."""

    def __init__(self, hub: Hub, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._hub = hub
        self._fresh = True

    def data_received(self, data: bytes) -> None:
        # Only the first bytes can be a request that nothing came before: later ones may be the middle of another.
        upgrade = read_upgrade(data) if self._fresh else None
        self._fresh = False
        if upgrade is None:
            super().data_received(data)
            return
        self.connections.discard(self)
        connection = self._hub.protocol()
        connection.connection_made(self.transport)
        self.transport.set_protocol(connection)
        connection.open(upgrade.target, upgrade.key, upgrade.values)
        self._let_go()

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        self._let_go()

    def _let_go(self) -> None:
        """The parser holds this object and is held by it: without this they would wait for the garbage collector."""
        self.parser = None  # type: ignore[assignment]
