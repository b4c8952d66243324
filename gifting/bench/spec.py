"""What ``drive`` is told of its connections: upgrade requests and frames, ready to be sent, in one binary file."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from gifting.load.socket import masked, upgrade_request
from gifting.wire.codec import TEXT

HEADER: Final = struct.Struct("<8I")
RECORD: Final = struct.Struct("<7I")
TAIL_MAX: Final = 64
"""Longest ``ready`` and longest key of a reply, in bytes."""
PING_MAX: Final = 125
"""Longest ping of a peer's own protocol, in bytes."""


Address: TypeAlias = tuple[str, int]
"""An IPv4 address in dots, and a port."""


class Opening(NamedTuple):
    """How one WebSocket is opened.

    Args:
        path: request target, with its query.
        headers: besides those of every upgrade.
        messages: payloads sent one after another right after the upgrade, without waiting for replies.
        opcode: of these messages.
        ready: bytes that, once they have been received, mean that the connection is in; empty: the upgrade is enough.
    """

    path: str
    headers: Sequence[tuple[str, str]] = ()
    messages: Sequence[bytes] = ()
    opcode: int = TEXT
    ready: bytes = b""


class KeepAlive(NamedTuple):
    """A message of the peer's own protocol that must be answered, or it hangs up: both as whole payloads."""

    ping: bytes
    pong: bytes
    opcode: int = TEXT


class Connection(NamedTuple):
    """One connection of the load.

    Args:
        opening: how it is opened.
        first: number of the first publisher it hears, or that it is.
        publishers: how many it hears, or 1.
        template: the frame it sends again and again.
        offset: where in the template the marker or the key stands.
    """

    opening: Opening
    first: int = 0
    publishers: int = 1
    template: bytes = b""
    offset: int = 0


class Replies(NamedTuple):
    """How replies are told: each has ``needle``, and right after it ``yes`` where it was accepted."""

    needle: bytes
    yes: bytes


def encode(
    address: Address,
    connections: Iterable[Connection],
    *,
    at_once: int,
    keep_alive: KeepAlive | None = None,
    replies: Replies | None = None,
) -> bytes:
    """The file, for a server at an IPv4 address. ``at_once``: connections in the middle of their opening at most.

    Raises:
        ValueError: a ``ready`` or a ping that is too long.
    """
    ping = keep_alive.ping if keep_alive else b""
    if len(ping) > PING_MAX:
        raise ValueError(f"A ping is longer than {PING_MAX} bytes: {ping!r}")
    pong = masked(keep_alive.opcode, keep_alive.pong) if keep_alive else b""
    needle, yes = replies or (b"", b"")
    records = [_record(address, connection) for connection in connections]
    host = int.from_bytes(socket.inet_aton(address[0]), "big")
    head = HEADER.pack(len(records), host, address[1], at_once, len(ping), len(pong), len(needle), len(yes))
    return b"".join([head, ping, pong, needle, yes, *records])


def _record(address: Address, connection: Connection) -> bytes:
    opening = connection.opening
    if len(opening.ready) > TAIL_MAX:
        raise ValueError(f"ready is longer than {TAIL_MAX} bytes: {opening.ready!r}")
    parts = (
        upgrade_request(*address, opening.path, opening.headers),
        b"".join(masked(opening.opcode, message) for message in opening.messages),
        opening.ready,
        connection.template,
    )
    sizes = [len(part) for part in parts]
    return b"".join([RECORD.pack(connection.first, connection.publishers, connection.offset, *sizes), *parts])
