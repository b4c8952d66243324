"""The part of an event that is known before the ledger has seen it, as wire bytes. Lua appends the rest.

An event is a msgpack map of a fixed number of fields. Here the map's header and the known fields are written;
``ledger/lua/include/room.lua`` appends ``seq, ts, id`` and, for gifts, the fields of :data:`GIFT_DYNAMIC`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgpack

_pack: Callable[[Any], bytes] = msgpack.Packer(use_bin_type=False, autoreset=True).pack

ALWAYS_DYNAMIC: Final = ("seq", "ts", "id")
GIFT_DYNAMIC: Final = ("count", "coins", "repeat_count", "repeat_end", "streak_id", "diamonds", "message")
_GIFT_STATIC: Final = ("type", "user", "to_user", "gift")
GIFT_FIELDS: Final = len(_GIFT_STATIC) + len(GIFT_DYNAMIC) + len(ALWAYS_DYNAMIC)


def encode_user(user: Mapping[str, Any]) -> bytes:
    """A user ``{id, name, picture, level}`` as wire bytes."""
    return _pack(user)


def encode_gift(gift: Mapping[str, Any]) -> bytes:
    """A catalog gift ``{id, name, coins, tier, streakable, image}`` as the field ``gift`` of its events."""
    return _pack("gift") + _pack(gift)


def encode_host(host: Mapping[str, Any]) -> bytes:
    """A host ``{id, name}`` as the field ``to_user`` of gift events."""
    return _pack("to_user") + _pack(host)


GIFT_HEAD: Final = bytes((0x80 | GIFT_FIELDS,)) + _pack("type") + _pack("gift") + _pack("user")
"""Followed by the bytes of the user, the host and the gift."""


def encode_message(message: str | None) -> bytes:
    return _pack(message)


def encode_event(kind: str, fields: Mapping[str, Any], dynamic: int = 0) -> bytes:
    """An event other than a gift, open at the end: Lua appends :data:`ALWAYS_DYNAMIC` and ``dynamic`` fields more."""
    count = 1 + len(fields) + len(ALWAYS_DYNAMIC) + dynamic
    parts = [bytes((0x80 | count,)), _pack("type"), _pack(kind)]
    for name, value in fields.items():
        parts += [_pack(name), value if isinstance(value, bytes) else _pack(value)]
    return b"".join(parts)
