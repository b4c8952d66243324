"""The ports of a node on 127.0.0.1, which stay its own while it is down."""

from __future__ import annotations

import random
import socket
from typing import Final, NamedTuple

from gifting.errors import NoRedis

HOST: Final = "127.0.0.1"

PORTS: Final = range(10_000, 32_000)
"""Where ports are looked for: below those that outgoing connections take, so that a dead node finds its own free."""


class Ports(NamedTuple):
    """``port`` for clients and ``bus`` for the other nodes, kept from whoever looks for ports here, in any process.

    They are ``held`` as UDP's, which Redis has no use for. If a node of another cluster got the bus port of a dead one,
    those who know that would take the address for an error, forget it, and elect nobody for a node without one.
    """

    port: int
    bus: int
    held: tuple[socket.socket, ...] = ()

    def release(self) -> None:
        """May be called again."""
        for each in self.held:
            each.close()


def free_ports() -> Ports:
    """Two that nobody listened on a moment ago; be ready to try others.

    Raises NoRedis: there are none.
    """
    found: list[tuple[int, socket.socket]] = []
    for port in random.sample(PORTS, len(PORTS)):
        if (held := _keep(port)) is not None:
            found.append((port, held))
        if len(found) == 2:
            (client, _), (bus, _) = found
            return Ports(client, bus, tuple(held for _, held in found))
    for _, held in found:
        held.close()
    raise NoRedis(f"Fewer than two ports of {HOST} are free.")


def free_port() -> int:
    """One that nobody listened on a moment ago, and that no outgoing connection takes. Raises as :func:`free_ports`."""
    ports = free_ports()
    ports.release()
    return ports.port


def _keep(port: int) -> socket.socket | None:
    held = socket.socket(type=socket.SOCK_DGRAM)
    if _bind(held, port) and _nobody_listens(port):
        return held
    held.close()
    return None


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return _bind(probe, port)


def _bind(one: socket.socket, port: int) -> bool:
    try:
        one.bind((HOST, port))
    except OSError:
        return False
    return True
