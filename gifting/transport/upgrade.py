"""The way in: a short one for the usual upgrade, and uvicorn's for everything else.

After a reconnect storm the short way is most of what a server does. uvicorn would parse the request, write it out again
and have it parsed once more; here it is read once. Until something comes, a socket is little more than its place in the
lobby.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from gifting.errors import GiftingError
from gifting.transport.farewell import FAREWELL, turn_away
from gifting.transport.handover import Upgrading, hand_over
from gifting.transport.handshake import read_upgrade
from gifting.transport.http import Http
from gifting.transport.lobby import Address, Lobby


class UpgradeProtocol(asyncio.Protocol):
    """Made by uvicorn for each socket, as ``UpgradeProtocol(lobby, upgrading, config=, server_state=, app_state=)``."""

    __slots__ = ("_address", "_lobby", "_refusal", "_transport", "_upgrading", "_uvicorn", "deadline")

    def __init__(self, lobby: Lobby, upgrading: Upgrading, **uvicorn: Any) -> None:
        self._lobby = lobby
        self._upgrading = upgrading
        self._uvicorn = uvicorn
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._address: Address | None = None
        self._refusal: GiftingError | None = None
        self.deadline: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        lobby, peer = self._lobby, transport.get_extra_info("peername")
        self._transport = cast("asyncio.Transport", transport)
        self._uvicorn["server_state"].connections.add(self)
        self._address, self._refusal = lobby.enter(self, peer[0] if isinstance(peer, tuple) else "")
        self.deadline = lobby.time() + (FAREWELL if self._refusal is not None else lobby.settings.head_timeout)
        if self._refusal is not None and lobby.crowded:
            self._turn_away(self._refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        self._lobby.leave(self, self._address)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            self._turn_away(self._refusal)
            return
        # Only the first bytes can be a request that nothing came before: later ones may be the middle of another.
        upgrade = read_upgrade(data, self._lobby.settings.head_max)
        self._let_go()
        if upgrade is not None:
            hand_over(self._lobby, self._upgrading, self, self._address, self._transport, upgrade)
            return
        http = Http(self._lobby, self._upgrading, self._address, self.deadline, **self._uvicorn)
        self._lobby.replace(self, http)
        http.connection_made(self._transport)
        self._transport.set_protocol(http)
        http.data_received(data)

    def _let_go(self) -> None:
        self._uvicorn["server_state"].connections.discard(self)

    def _turn_away(self, error: GiftingError) -> None:
        self._let_go()
        turn_away(self._lobby, self, self._address, self._transport, error)

    def expire(self) -> None:
        """The deadline has passed; one that has said nothing is told nothing, unless it may not stay."""
        if self._refusal is not None:
            self._turn_away(self._refusal)
        else:
            self._transport.close()

    def shutdown(self) -> None:
        """uvicorn takes no more requests."""
        self._transport.close()
