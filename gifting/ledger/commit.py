"""One commit call: a batch on its way over one connection, tried until it has a reply or its items' time is over.

Every item ends in exactly one of: a result of the script, or an error that says whether the outcome is known. An item
is sent again only if it carries a key, which makes it safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgpack
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from gifting import errors
from gifting.ledger import scripts
from gifting.ledger.status import Status
from gifting.wire.codec import pack

log = logging.getLogger(__name__)

RETRY_PAUSE = 0.05
"""Seconds between two tries of a call while Redis is away."""

NOT_RUN = (BusyLoadingError, ClusterDownError, MasterDownError, ReadOnlyError, TryAgainError)
"""Error replies after which the script has not run but may, later."""


class Result(NamedTuple):
    """What the script said of one item. ``streak`` is the seq of the streak's first event."""

    duplicate: int
    status: int
    seq: int
    coins: int
    repeat_count: int
    streak: int

    def refusal(self) -> errors.GiftingError | None:
        if self.status == Status.OK:
            return None
        if self.status == Status.INSUFFICIENT_COINS:
            return errors.InsufficientCoins(f"There are {self.coins} coins in the wallet.")
        return Status(self.status).error()


Done = Callable[[Result | errors.GiftingError], None]


class Item(NamedTuple):
    """One thing to commit: its kind, the partitions it touches, its other fields packed, and whom to tell.

    ``sender`` is the base of the sender's partition, None for what is free; only what has a sender has a key.
    """

    kind: int
    sender: str | None
    room: str
    fields: bytes
    done: Done
    queued_at: float


class Line:
    """One connection to Redis on which commit calls are made, one at a time. ``options`` are what the script takes."""

    def __init__(self, connection: Any, options: bytes, now: Callable[[], str], timeout: float) -> None:
        self._connection = connection
        self._options = options
        self._now = now
        self._timeout = timeout

    async def connect(self) -> None:
        async with asyncio.timeout(self._timeout):
            await self._connection.connect()

    async def send(self, batch: list[Item]) -> bytes:
        """One call of the script, on a connection that is up."""
        bases, values = _address(batch)
        kinds = bytes(item.kind for item in batch)
        args = (len(bases), *bases, self._now(), self._options, kinds, values)
        async with asyncio.timeout(self._timeout):
            try:
                return await self._evaluate("EVALSHA", scripts.sha("commit"), *args)
            except NoScriptError:
                return await self._evaluate("EVAL", scripts.source("commit"), *args)

    async def _evaluate(self, *command: Any) -> bytes:
        await self._connection.send_command(*command)
        reply: bytes = await self._connection.read_response()
        return reply

    async def drop(self) -> None:
        """After a failed call: a late reply must not be taken for the next call's."""
        await self._connection.disconnect(nowait=True)

    async def close(self) -> None:
        await self._connection.disconnect()


class Commit:
    """One batch on its way: tried until it has a reply or its items' time is over."""

    def __init__(self, line: Line, batch: list[Item], expired: Callable[[Item], bool]) -> None:
        self._line = line
        self._items = batch
        self._expired = expired
        self._sent = False
        self._delivered = 0

    async def run(self) -> int:
        """Returns how many items have a result of the script."""
        try:
            while self._items and not await self._try():
                self._give_up_on(self._expired)
                if self._items:
                    await asyncio.sleep(RETRY_PAUSE)
        except asyncio.CancelledError:
            self._give_up_on(lambda _: True)
            await self._line.drop()
            raise
        return self._delivered

    async def _try(self) -> bool:
        """Whether the batch has ended."""
        try:
            await self._line.connect()
        except (RedisError, OSError):  # TimeoutError is an OSError
            return False
        sent_before, self._sent = self._sent, True
        try:
            reply = await self._line.send(self._items)
        except OutOfMemoryError:
            fail(self._items, errors.LedgerFull())
        except NOT_RUN:
            self._sent = sent_before
            return False
        except ResponseError as error:
            log.error("the ledger script failed: %s", error)
            fail(self._items, errors.OutcomeUnknown())
        except (RedisError, OSError) as error:
            log.warning("a ledger call got no reply: %r", error)
            await self._line.drop()
            self._give_up_on(lambda item: item.sender is None)
            return False
        else:
            self._deliver(reply)
        return True

    def _deliver(self, reply: bytes) -> None:
        self._delivered = len(self._items)
        for item, values in zip(self._items, msgpack.unpackb(reply, use_list=False), strict=True):
            _tell(item, Result(*values))

    def _give_up_on(self, hopeless: Callable[[Item], bool]) -> None:
        gone = [item for item in self._items if hopeless(item)]
        self._items = [item for item in self._items if not hopeless(item)]
        fail(gone, errors.OutcomeUnknown() if self._sent else errors.LedgerUnavailable())


def _address(batch: list[Item]) -> tuple[list[str], bytes]:
    """The partitions of a batch, each once, and the values of its items as the script reads them."""
    numbers: dict[str, bytes] = {}
    parts: list[bytes] = []
    for _, sender, room, fields, _, _ in batch:
        for base in (sender, room):
            if base is not None:
                parts.append(numbers.get(base) or numbers.setdefault(base, pack(len(numbers) + 1)))
        parts.append(fields)
    return list(numbers), b"".join(parts)


def _tell(item: Item, outcome: Result | errors.GiftingError) -> None:
    try:
        item.done(outcome)
    except Exception:
        log.exception("a gift was committed, but telling its sender failed")


def fail(items: Iterable[Item], error: errors.GiftingError) -> None:
    for item in items:
        _tell(item, error)
