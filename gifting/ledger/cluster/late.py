"""What came of gifts that were told as pending, for who asks again with the same key; and it is kept from then on.

A credit's reply may be lost, or the node to which it came, before the sender's partition knew of it; then what is kept
under the key is that it is paid, and no more. The room's partition has the rest: in its ledger, and in the room's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from redis.exceptions import RedisError

from gifting.errors import GiftingError
from gifting.ledger.clock import in_ms
from gifting.ledger.cluster.debit_call import Completion
from gifting.ledger.cluster.errands import Errands
from gifting.ledger.cluster.fields import key_of, user_of
from gifting.ledger.commit import PendingCommit, tell
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.ledger.lookup import Lookup
from gifting.ledger.rooms import Rooms
from gifting.model.packing import unpack
from gifting.model.values import Result, RoomRef

PATIENCE: Final = 1.0
"""Seconds that who asks waits for it; then it is told as pending once more."""

SKEW: Final = 1000
"""Ms by which the clocks of a cluster's nodes may differ."""


class Credited(NamedTuple):
    """What a credit said of a gift."""

    seq: int
    repeat_count: int
    streak: int


Find = Callable[[str, bytes], Awaitable[Credited | None]]
"""What came of a user's gift with a key; None where that is not known."""


class Late:
    """One gift at a time is looked for, and of what is asked meanwhile it is told what is kept: so a crowd that asks
    again while a partition stands still costs it nothing. ``settled`` is called when one has been told.
    """

    def __init__(self, settled: Callable[[], None]) -> None:
        self._settled = settled
        self._find: Find | None = None
        self._task: asyncio.Task[None] | None = None

    def use(self, find: Find) -> None:
        """Who knows."""
        self._find = find

    @property
    def busy(self) -> bool:
        return self._task is not None

    def tell(self, item: PendingCommit, coins: int, errands: Errands) -> None:
        """A gift that has been paid before, after which the sender had so many ``coins``."""
        if self._find is None or self.busy:
            _tell_pending(item, coins)
        else:
            work = self._look(self._find, item, coins, errands)
            self._task = asyncio.get_running_loop().create_task(work, name="ledger: a gift that was pending")

    async def _look(self, find: Find, item: PendingCommit, coins: int, errands: Errands) -> None:
        key, found = key_of(item.fields), None
        try:
            async with asyncio.timeout(PATIENCE):
                found = await find(user_of(item.fields).decode(), key)
        except (GiftingError, RedisError, OSError):
            pass  # of which a time-out is one: it is asked again
        finally:
            self._task = None
            if found is None:
                _tell_pending(item, coins)
            else:
                assert item.sender is not None
                errands.keep([Completion(item.sender, key, *found)])
                tell(item, Result(True, found.seq, coins, found.repeat_count, found.streak))
            self._settled()


def _tell_pending(item: PendingCommit, coins: int) -> None:
    tell(item, Result(True, 0, coins, 0, 0, pending=True))


def finder(redis: BinaryRedis, keys: Keys, lookup: Lookup, rooms: Rooms) -> Find:
    """By both ledgers and the room's log. What it finds is from before a write that replicas hold."""

    async def find(user: str, key: bytes) -> Credited | None:
        before = in_ms(await redis.time()) - SKEW
        given = await lookup.given(user, key)
        if given is None or given.at > before:
            return None
        room = RoomRef(given.room, given.host, keys.base(given.host), b"")
        await redis.set(f"{room.base}:waited", "")
        if await lookup.given(user, key) != given:
            return None  # another master took that write, and may have credited it elsewhere
        batches, _ = await rooms.log_page(room, given.seq - 1, 0)
        for batch in batches:
            for entry in batch.entries():
                if entry.seq == given.seq:
                    event = unpack(batch.events[entry.start : entry.end])
                    return Credited(entry.seq, event["repeat_count"], entry.streak)
        return None

    return find
