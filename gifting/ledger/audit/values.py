"""Values as Redis has them, which somebody else may have written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgpack


def text(name: bytes) -> str:
    """A name."""
    return name.decode(errors="backslashreplace")


def scores(pairs: Iterable[tuple[bytes, float]]) -> dict[str, int]:
    """A ranking; -1 for a score that is no whole number."""
    return {text(user): int(score) if score.is_integer() else -1 for user, score in pairs}


def unpack_all(record: bytes, *, raw: bool = False) -> list[Any]:
    """Msgpack values one after another; strings as bytes if ``raw``. Raises one of ``UNREADABLE``."""
    unpacker = msgpack.Unpacker(max_buffer_size=0, raw=raw)
    unpacker.feed(record)
    return list(unpacker)
