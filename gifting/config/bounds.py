"""Bounds of settings that other code counts on."""

from __future__ import annotations

from typing import Final

FRAME_MAX_MOST: Final = 4 << 20
"""The clients of this package take four times as much."""

TOKEN_TTL_MAX: Final = 366 * 86400.0
"""Seconds: no setting lets a token live longer, so what is revoked need not be remembered longer."""

TOKEN_LEEWAY_MAX: Final = 300.0
"""Seconds."""

PARTITIONS_MAX: Final = 256

NUMBER_MAX: Final = 1 << 31
"""Of a setting without a bound of its own: beyond any use, and still what timers, Lua and Redis take."""

MEMORY_MAX: Final = 1 << 50
"""Bytes."""

TEN_YEARS: Final = 10 * 366 * 86400.0
"""Seconds: the longest that anything is kept for. In ms it is far from where Redis takes no more."""
