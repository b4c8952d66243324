"""Keys of gifts, as clients make them and as the ledger forgets them."""

from __future__ import annotations

import os
import time
from typing import Any

from gifting import config
from gifting.ledger.cluster.slots import tags
from gifting.ledger.floors import HOLD_MAX, Floors
from gifting.ledger.keys import Keys
from gifting.model.money import make_key
from tests.support.engine import Engine


def new_key(now_ms: int | None = None) -> str:
    """A key made now, or at another time."""
    return make_key(time.time_ns() // 1_000_000 if now_ms is None else now_ms, os.urandom(10))


def session_keys(partitions: int) -> Keys:
    """Of so many partitions, as they are named on what the session's tests run on."""
    return Keys("gifting", partitions, tags(partitions) if Engine.cluster else None)


async def forget_keys(redis_client: Any) -> None:
    """As if an hour had passed for the ledger, so that it no longer remembers what it answered."""
    settings = config.load({}, environ={})
    floors = Floors(redis_client, session_keys(settings.partitions), settings)
    await floors.raise_to(time.time_ns() // 1_000_000 + 3_600_000, HOLD_MAX)
