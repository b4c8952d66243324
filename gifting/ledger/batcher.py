"""Group commit: while one call is in flight, gifts queue; when it returns, all that queued go out as the next call.

Nothing waits for a timer. Every item ends in exactly one of: a result of the script, or an error that says whether the
outcome is known. An item is sent again only if it carries a key, which makes it safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
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
from gifting.config import Settings
from gifting.ledger import scripts
from gifting.ledger.keys import Keys
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


class Batcher:
    """Owns one connection to Redis and one task that sends batches over it, one at a time."""

    def __init__(self, connection: Any, keys: Keys, settings: Settings, now: Callable[[], str] = str) -> None:
        self._connection = connection
        self._keys = keys
        self._batch_max = settings.batch_max
        self._queue_max = settings.batch_queue
        self._timeout = settings.ledger_timeout
        self._now = now
        self._options = pack(
            (
                round(settings.dedupe_window * 1000),
                round(settings.key_lead * 1000),
                round(settings.streak_window * 1000),
                *settings.diamond_rate(),
                settings.log_keep,
            )
        )
        self._queue: deque[Item] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._time = asyncio.get_running_loop().time
        self.batches = 0
        self.items = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="ledger-batcher")

    @property
    def queued(self) -> int:
        return len(self._queue)

    def submit(self, kind: int, sender: str | None, room: str, fields: bytes, done: Done) -> None:
        """Queue one item; ``done`` is called with its result, or with the error that it ended in.

        Raises:
            Overloaded: too much is queued already.
        """
        if len(self._queue) >= self._queue_max:
            raise errors.Overloaded
        self._queue.append(Item(kind, sender, room, fields, done, self._time()))
        if not self._wake.is_set():
            self._wake.set()
            self._idle.clear()

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Stop at once; what is still queued was not sent, and is told so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        _fail(self._queue, errors.LedgerUnavailable("The server is shutting down."))
        self._queue.clear()
        await self._connection.disconnect()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_max))]
            if batch:
                await _Commit(self, batch).run()
            if not self._queue:
                self._wake.clear()
                self._idle.set()

    async def send(self, batch: list[Item]) -> Any:
        """One call of the script, on a connection that is up."""
        bases, blobs = _address(batch)
        args = (len(bases), *bases, self._now(), self._options, pack(blobs))
        async with asyncio.timeout(self._timeout):
            try:
                return await self._evaluate("EVALSHA", scripts.sha("commit"), *args)
            except NoScriptError:
                return await self._evaluate("EVAL", scripts.source("commit"), *args)

    async def _evaluate(self, *command: Any) -> Any:
        await self._connection.send_command(*command)
        return await self._connection.read_response()

    async def connect(self) -> None:
        async with asyncio.timeout(self._timeout):
            await self._connection.connect()

    async def disconnect(self) -> None:
        """After a failed call: a late reply must not be taken for the next call's."""
        await self._connection.disconnect(nowait=True)

    def expired(self, item: Item) -> bool:
        return self._time() - item.queued_at > self._timeout


class _Commit:
    """One batch on its way: tried until it has a reply or its items' time is over."""

    def __init__(self, batcher: Batcher, batch: list[Item]) -> None:
        self._batcher = batcher
        self._items = batch
        self._sent = False

    async def run(self) -> None:
        try:
            while self._items and not await self._try():
                self._give_up_on(self._batcher.expired)
                if self._items:
                    await asyncio.sleep(RETRY_PAUSE)
        except asyncio.CancelledError:
            self._give_up_on(lambda _: True)
            await self._batcher.disconnect()
            raise

    async def _try(self) -> bool:
        """Whether the batch has ended."""
        try:
            await self._batcher.connect()
        except (RedisError, OSError):  # TimeoutError is an OSError
            return False
        sent_before, self._sent = self._sent, True
        try:
            reply = await self._batcher.send(self._items)
        except OutOfMemoryError:
            _fail(self._items, errors.LedgerFull())
        except NOT_RUN:
            self._sent = sent_before
            return False
        except ResponseError as error:
            log.error("the ledger script failed: %s", error)
            _fail(self._items, errors.OutcomeUnknown())
        except (RedisError, OSError) as error:
            log.warning("a ledger call got no reply: %r", error)
            await self._batcher.disconnect()
            self._give_up_on(lambda item: item.sender is None)
            return False
        else:
            self._deliver(reply)
        return True

    def _deliver(self, reply: bytes) -> None:
        self._batcher.batches += 1
        self._batcher.items += len(self._items)
        for item, values in zip(self._items, msgpack.unpackb(reply, use_list=False), strict=True):
            _tell(item, Result(*values))

    def _give_up_on(self, hopeless: Callable[[Item], bool]) -> None:
        gone = [item for item in self._items if hopeless(item)]
        self._items = [item for item in self._items if not hopeless(item)]
        _fail(gone, errors.OutcomeUnknown() if self._sent else errors.LedgerUnavailable())


def _address(batch: list[Item]) -> tuple[list[str], list[bytes]]:
    """The partitions of a batch, each once, and its items as the script reads them."""
    numbers: dict[str, int] = {}
    blobs = []
    for kind, sender, room, fields, _, _ in batch:
        at = numbers.setdefault(room, len(numbers) + 1)
        if sender is None:
            blobs.append(bytes((kind, at)) + fields)
        else:
            blobs.append(bytes((kind, numbers.setdefault(sender, len(numbers) + 1), at)) + fields)
    return list(numbers), blobs


def _tell(item: Item, outcome: Result | errors.GiftingError) -> None:
    try:
        item.done(outcome)
    except Exception:
        log.exception("a gift was committed, but telling its sender failed")


def _fail(items: Any, error: errors.GiftingError) -> None:
    for item in items:
        _tell(item, error)
