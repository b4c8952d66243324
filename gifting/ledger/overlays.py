"""The overlay tokens that rooms issued: a room can revoke these and no others, and has so many at most."""

from __future__ import annotations

from typing import Final

from gifting.errors import NotFound, TooManyTokens, Unconfirmed
from gifting.ledger.calls import Calls, translated
from gifting.ledger.revocations import KEPT_BEYOND
from gifting.model.packing import unpack
from gifting.model.values import RoomRef
from gifting.wire.tokens import token_room

ROOMS_OF_A_HOST: Final = 10
"""A host may have as many overlay tokens as so many full rooms."""


class Overlays:
    """``room_max`` is how many tokens a room may have, revoked ones included."""

    def __init__(self, calls: Calls, room_max: int) -> None:
        self._calls = calls
        self._keys = calls.keys
        self._room_max = room_max

    async def note(self, room: RoomRef, token_id: str, ttl: float) -> float:
        """Note a token before it is handed out. Returns when it begins to live, by Redis' clock.

        Raises:
            TooManyTokens: the room or its host has as many as it may.
        """
        options = (
            room.id,
            token_id,
            round(ttl * 1000),
            round(KEPT_BEYOND * 1000),
            self._room_max,
            self._room_max * ROOMS_OF_A_HOST,
        )
        keys = [self._keys.overlays(room.host)]
        noted, now = unpack(await self._calls.timed("overlay_issue", keys, options, unsure=Unconfirmed))
        if not noted:
            raise TooManyTokens(f"A room has {self._room_max} overlay tokens at most.")
        return float(now / 1000)

    async def expires(self, room: RoomRef, token_id: str) -> float:
        """When a token of this room expires. Raises NotFound if it issued none of this id, or it is long over."""
        with translated():
            found = await self._calls.redis.zscore(self._keys.overlays(room.host), token_id)
        if found is None or token_room(token_id) != room.id:
            raise NotFound("This room issued no token of this id.")
        return float(found / 1000)

    async def forget(self, host: str) -> None:
        """Forget a host's tokens, which have all been revoked: so that whoever filled the list doesn't lock it."""
        with translated(Unconfirmed):
            await self._calls.redis.delete(self._keys.overlays(host))
