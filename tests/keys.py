"""Keys of gifts, as clients make them."""

from __future__ import annotations

import os
import time

from gifting.model.economy import make_key


def new_key(now_ms: int | None = None) -> str:
    """A key made now, or at another time."""
    return make_key(time.time_ns() // 1_000_000 if now_ms is None else now_ms, os.urandom(10))
