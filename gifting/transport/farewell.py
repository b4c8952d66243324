"""Turning away one who may not stay: an answer, and time to read it, for to close at once would cut it off."""

from __future__ import annotations

import asyncio
from typing import Final

from gifting.errors import GiftingError
from gifting.transport.handshake import refuse
from gifting.transport.lobby import Address, Lobby, Waiting

FAREWELL: Final = 2.0
"""Seconds for a peer that was turned away to read why, and to close."""

FAREWELL_BYTES: Final = 262_144
"""What may still come from one that was turned away."""


class Farewell(asyncio.Protocol):
    """Reads, and forgets, what comes from one that has been told why it may not stay."""

    __slots__ = ("_address", "_lobby", "_size", "_transport", "deadline")

    def __init__(self, lobby: Lobby, address: Address | None, transport: asyncio.Transport) -> None:
        self._lobby = lobby
        self._address = address
        self._transport = transport
        self._size = 0
        self.deadline: float | None = lobby.time() + FAREWELL

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > FAREWELL_BYTES:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lobby.leave(self, self._address)

    def expire(self) -> None:
        self._transport.abort()


def turn_away(
    lobby: Lobby, waiting: Waiting, address: Address | None, transport: asyncio.Transport, error: GiftingError
) -> None:
    """Answer with the error and take nothing more; whoever had the socket has it no longer."""
    farewell = Farewell(lobby, address, transport)
    lobby.replace(waiting, farewell)
    transport.set_protocol(farewell)
    transport.write(refuse(error))
    if transport.can_write_eof() and not lobby.crowded:
        transport.write_eof()
    else:
        transport.close()
