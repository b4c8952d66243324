"""What ``drive.c`` is told of its connections: upgrade requests and frames, ready to be sent, in one binary file."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from benchmarks.compare.marker import body
from benchmarks.compare.peer import KeepAlive, Opening, Peer, PeerError
from gifting.load.socket import masked

HEADER: Final = struct.Struct("<7I")
RECORD: Final = struct.Struct("<7I")
TAIL_MAX: Final = 64
"""Longest ``ready`` and longest key of a reply, in bytes."""
PING_MAX: Final = 125
"""Longest ping of a peer's own protocol, in bytes."""


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


def upgrade(port: int, opening: Opening) -> bytes:
    """The request that opens a WebSocket. No extensions are offered: compression is off everywhere."""
    lines = [
        f"GET {opening.path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in opening.headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def publisher(peer: Peer, room: str, number: int, within: int) -> Connection:
    """Publisher ``number`` of all, the ``within``-th of its room, with its message as a template.

    Raises:
        PeerError: the peer's message does not have the body in it as it is.
    """
    text = body(number, 0, 0)
    template = masked(peer.opcode, peer.publish(room, text))
    offset = template.find(text.encode())
    if offset < 0:
        raise PeerError(f"{peer.name} does not put a message's body into its bytes as it is.")
    return Connection(peer.publisher(room, within), number, 1, template, offset)


def encode(
    port: int,
    connections: Iterable[Connection],
    *,
    at_once: int,
    keep_alive: KeepAlive | None = None,
    replies: Replies | None = None,
) -> bytes:
    """The file. ``at_once``: connections in the middle of their opening at most.

    Raises:
        ValueError: a ``ready`` or a ping that is too long.
    """
    ping = keep_alive.ping if keep_alive else b""
    if len(ping) > PING_MAX:
        raise ValueError(f"A ping is longer than {PING_MAX} bytes: {ping!r}")
    pong = masked(keep_alive.opcode, keep_alive.pong) if keep_alive else b""
    needle, yes = replies or (b"", b"")
    records = [_record(port, connection) for connection in connections]
    head = HEADER.pack(len(records), port, at_once, len(ping), len(pong), len(needle), len(yes))
    return b"".join([head, ping, pong, needle, yes, *records])


def _record(port: int, connection: Connection) -> bytes:
    opening = connection.opening
    if len(opening.ready) > TAIL_MAX:
        raise ValueError(f"ready is longer than {TAIL_MAX} bytes: {opening.ready!r}")
    parts = (
        upgrade(port, opening),
        b"".join(masked(opening.opcode, message) for message in opening.messages),
        opening.ready,
        connection.template,
    )
    sizes = [len(part) for part in parts]
    return b"".join([RECORD.pack(connection.first, connection.publishers, connection.offset, *sizes), *parts])
