"""The overlay tokens that rooms issued: a room can revoke these and no others, and has so many at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gifting.errors import LedgerUnavailable, NotFound, TooManyTokens, Unconfirmed
from gifting.ledger import scripts
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.revocations import KEPT_BEYOND
from gifting.ledger.rooms import REDIS_ERRORS, translate
from gifting.model.values import RoomRef
from gifting.wire.codec import pack, unpack
from gifting.wire.tokens import token_room

ROOMS_OF_A_HOST: Final = 10
"""A host may have as many overlay tokens as so many full rooms."""


class Overlays:
    """``room_max`` is how many tokens a room may have, revoked ones included; ``now`` as in :class:`~.rooms.Rooms`."""

    def __init__(self, redis: BinaryRedis, keys: Keys, room_max: int, now: Callable[[], str]) -> None:
        self._redis = redis
        self._keys = keys
        self._room_max = room_max
        self._now = now

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
        try:
            noted, now = unpack(await scripts.call(self._redis, "overlay_issue", keys, self._now(), pack(options)))
        except REDIS_ERRORS as error:
            raise translate(error, Unconfirmed) from None
        if not noted:
            raise TooManyTokens(f"A room has {self._room_max} overlay tokens at most.")
        return float(now / 1000)

    async def expires(self, room: RoomRef, token_id: str) -> float:
        """When a token of this room expires. Raises NotFound if it issued none of this id, or it is long over."""
        try:
            found = await self._redis.zscore(self._keys.overlays(room.host), token_id)
        except REDIS_ERRORS as error:
            raise translate(error, LedgerUnavailable) from None
        if found is None or token_room(token_id) != room.id:
            raise NotFound("This room issued no token of this id.")
        return float(found / 1000)

    async def forget(self, host: str) -> None:
        """Forget a host's tokens, which have all been revoked: so that whoever filled the list doesn't lock it."""
        try:
            await self._redis.delete(self._keys.overlays(host))
        except REDIS_ERRORS as error:
            raise translate(error, Unconfirmed) from None
