"""msgpack that Lua reads and writes too. Redis' cmsgpack is of the time before str8 and bin: strings go in as raw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

pack: Callable[[Any], bytes] = msgpack.Packer(use_bin_type=False, autoreset=True).pack
"""Plain values to msgpack."""


def unpack(data: bytes) -> Any:
    """msgpack to plain values, strings as ``str``."""
    return msgpack.unpackb(data, raw=False, strict_map_key=False)


def unpack_raw(data: bytes) -> Any:
    """msgpack to plain values, strings as ``bytes``."""
    return msgpack.unpackb(data, raw=True)
