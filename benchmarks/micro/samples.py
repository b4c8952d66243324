"""What the inner loops work on: fixed messages, gifts and batches, the same bytes in every run."""

from __future__ import annotations

import time
from typing import Any, Final

from gifting.load.socket import masked, upgrade_request
from gifting.model import events
from gifting.model.catalog import Catalog
from gifting.model.money import make_key
from gifting.model.packing import pack
from gifting.wire.batch import RoomBatch, read_batches
from gifting.wire.codec import MSGPACK, Codec
from gifting.wire.tokens import issue

ROOM: Final = "lobby"
HOST: Final = "host-lobby"
USER_ID: Final = "ann"
USER: Final = {"id": USER_ID, "name": "Ann", "picture": "https://example.org/ann.png", "level": 12}
GIFT: Final = "spark"
KEY: Final = make_key(1_764_000_000_000, bytes(range(10)))
SECRET: Final = "s" * 32
TEXT: Final = "this one is for the drummer"
OPTIONS: Final = pack((86_400_000, 60_000, 3_000, 1, 2, 1_000))
"""Of a commit call."""
REPLY: Final = pack([(0, 0, 41, 99_000, 1, 41)])
"""What the script says of one gift that it took."""
SENDERS: Final = 32
"""Streaks that are open in a batch: each sender has one, of as many gifts as fit."""


def message(codec: Codec) -> bytes:
    """A viewer's ``send_gift``, with every field."""
    fields = {"op": "send_gift", "id": 7, "room": ROOM, "gift": GIFT, "key": KEY, "count": 3, "message": TEXT}
    return codec.encode(fields)


def lone_gift() -> bytes:
    """What most gifts are: one, with nothing said."""
    return MSGPACK.encode({"op": "send_gift", "id": 7, "room": ROOM, "gift": GIFT, "key": KEY})


def comment() -> bytes:
    return MSGPACK.encode({"op": "comment", "id": 7, "room": ROOM, "text": TEXT})


def client_frames(codec: Codec, count: int) -> bytes:
    """``count`` frames of a viewer, each a ``send_gift``, as they come out of one read of a socket."""
    return masked(codec.opcode, message(codec)) * count


def upgrade(codec: Codec, ttl: float) -> bytes:
    """The request with which a viewer comes; its token is good for ``ttl`` seconds."""
    token = issue(SECRET, USER_ID, "viewer", now=time.time(), ttl=ttl, name="Ann", token_id="token")
    headers = [("Authorization", f"Bearer {token}"), ("Sec-WebSocket-Protocol", codec.subprotocol)]
    return upgrade_request("127.0.0.1", 8000, "/v1/ws", headers)


def rejoin(codec: Codec, since: int) -> bytes:
    """The frame with which a viewer that has everything up to ``since`` joins again."""
    return masked(codec.opcode, codec.encode({"op": "join", "id": 1, "lane": "all", "room": ROOM, "since": since}))


def published(catalog: Catalog, count: int, room: str = ROOM) -> bytes:
    """A room batch of ``count`` gifts as the commit script publishes it; its last seq is ``count``."""
    blobs = [_event(catalog, seq) for seq in range(1, count + 1)]
    index = [number for seq, blob in enumerate(blobs, 1) for number in (len(blob), _streak(seq), _repeat(seq), 0)]
    head: list[Any] = [room, count, count, index, count, count * 500, 0, b"".join(blobs), None]
    return pack(head)


def batch(catalog: Catalog, count: int) -> RoomBatch:
    """:func:`published`, read."""
    return read_batches(published(catalog, count))[0]


def _streak(seq: int) -> int:
    return (seq - 1) % SENDERS + 1


def _repeat(seq: int) -> int:
    return (seq - 1) // SENDERS + 1


def _event(catalog: Catalog, seq: int) -> bytes:
    """One gift event: what Python knows of it, and what the script appends."""
    number = _streak(seq)
    user = {**USER, "id": f"user-{number}", "name": f"User {number}"}
    decided = {"repeat_count": _repeat(seq), "repeat_end": False, "streak_id": f"{ROOM}.{number}", "diamonds": 500}
    stamp = {"seq": seq, "ts": 1_764_000_000_000 + seq, "id": f"{ROOM}.{seq}"}
    parts = [
        events.encode_about(events.encode_host({"id": HOST, "name": "Host"}), catalog.wire(GIFT)),
        events.encode_user(user),
        events.encode_sent(1, 1, TEXT),
    ]
    for name, value in {**decided, **stamp}.items():
        parts += [pack(name), pack(value)]
    return b"".join(parts)
