"""Snapshots of a room, shared by those who come at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from gifting.wire.codec import Codec
from gifting.wire.replies import Snapshot

SNAPSHOT_AGE: Final = 0.25
"""Seconds for which those who join share one snapshot."""


class Snapshots:
    """``ask`` asks the ledger for a new one. Times are seconds."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Snapshot]]) -> None:
        self._ask = ask
        self._asked: asyncio.Task[Snapshot] | None = None
        self._asked_at = 0.0
        self._encoded_of: Snapshot | None = None
        self._encoded: dict[Codec, bytes] = {}

    def at_hand(self, now: float) -> Snapshot | None:
        """What :meth:`get` gives, if that is there already."""
        asked = self._asked
        if asked is None or not asked.done() or now - self._asked_at > SNAPSHOT_AGE:
            return None
        return None if asked.cancelled() or asked.exception() else asked.result()

    async def get(self, now: float) -> Snapshot:
        """The room as it stands, :data:`SNAPSHOT_AGE` ago at most. Raises RoomNotFound, Unavailable."""
        if self._asked is None or now - self._asked_at > SNAPSHOT_AGE:
            self._asked = asyncio.create_task(self._ask())
            self._asked_at = now
        return await asyncio.shield(self._asked)

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
