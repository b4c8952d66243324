"""Snapshots of a room, shared by those who come at about the same time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import msgspec

from gifting.wire.codec import Codec
from gifting.wire.replies import Snapshot

SNAPSHOT_AGE: Final = 0.25
"""Seconds for which those who join share one snapshot."""


RENEWED_AFTER: Final = 0.15
"""Seconds after which, if somebody joins, the next one is asked for, so that nobody needs to wait for it."""


class Snapshots:
    """``ask`` asks the ledger for a new one. Times are seconds."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Snapshot]]) -> None:
        self._ask = ask
        self._asked: asyncio.Task[Snapshot] | None = None
        self._asked_at = -math.inf
        self._found: Snapshot | None = None
        self._found_at = -math.inf
        self._encoded_of: Snapshot | None = None
        self._encoded: dict[Codec, bytes] = {}

    def at_hand(self, now: float) -> Snapshot | None:
        """What :meth:`get` gives, if that is there already."""
        if now - self._found_at > SNAPSHOT_AGE:
            return None
        if now - self._asked_at > RENEWED_AFTER:
            self._begin(now)
        return self._found

    async def get(self, now: float) -> Snapshot:
        """The room as it stands, :data:`SNAPSHOT_AGE` ago at most. Raises RoomNotFound, Unavailable."""
        asked = self._asked
        if asked is None or now - self._asked_at > SNAPSHOT_AGE:
            asked = self._begin(now)
        return await asyncio.shield(asked)

    def _begin(self, now: float) -> asyncio.Task[Snapshot]:
        self._asked, self._asked_at = asyncio.create_task(self._ask()), now
        self._asked.add_done_callback(partial(self._take, now))
        return self._asked

    def _take(self, asked_at: float, asked: asyncio.Task[Snapshot]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self._found, self._found_at = asked.result(), asked_at

    def encode(self, found: Snapshot, codec: Codec) -> msgspec.Raw:
        """A snapshot as the reply to a join has it. Whoever waited for the log may still have an older one."""
        if found is not self._encoded_of:
            self._encoded_of, self._encoded = found, {}
        if codec not in self._encoded:
            self._encoded[codec] = codec.encode(found)
        return msgspec.Raw(self._encoded[codec])

    def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
