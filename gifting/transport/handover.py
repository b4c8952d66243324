"""Handing a socket over to what becomes of it after an upgrade."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable

from gifting.transport.handshake import Upgrade
from gifting.transport.lobby import Address, Lobby, Waiting


class Upgraded(asyncio.Protocol):
    """A socket that has asked for an upgrade. It says to the lobby when it is gone."""

    __slots__ = ()

    @abstractmethod
    def open(self, upgrade: Upgrade) -> None:
        """Become what was asked for, or say why not."""


Upgrading = Callable[[Address | None], Upgraded]
"""Makes one of a socket, which is counted by its address, if it is."""


def hand_over(
    lobby: Lobby,
    upgrading: Upgrading,
    waiting: Waiting,
    address: Address | None,
    transport: asyncio.Transport,
    upgrade: Upgrade,
) -> None:
    """The socket, which ``waiting`` had, becomes a WebSocket, or is told why not."""
    lobby.upgrade(waiting)
    upgraded = upgrading(address)
    upgraded.connection_made(transport)
    transport.set_protocol(upgraded)
    upgraded.open(upgrade)
