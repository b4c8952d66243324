"""One commit call on the wire: its items, how they are packed, what comes back, and the connection it goes over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgpack

from gifting import errors
from gifting.ledger import scripts
from gifting.ledger.status import Status
from gifting.wire.codec import pack

log = logging.getLogger(__name__)


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

    ``sender`` is the base of the sender's partition, and ``target`` a gift in a room, packed; None for what is free.
    Only what has a sender has a key, which makes it safe to send again. ``sent`` says that it was sent before, and what
    became of it is not known.
    """

    kind: int
    sender: str | None
    room: str
    target: bytes | None
    fields: bytes
    done: Done
    queued_at: float
    sent: bool = False


def tell(item: Item, outcome: Result | errors.GiftingError) -> None:
    """Every item is told once: a result of the script, or an error that says whether the outcome is known."""
    try:
        item.done(outcome)
    except Exception:
        log.exception("a gift was committed, but telling its sender failed")


def fail(items: Iterable[Item], error: errors.GiftingError) -> None:
    for item in items:
        tell(item, error)


def give_up(items: Iterable[Item]) -> None:
    """Tell items that are not sent again whether they may have been committed."""
    for item in items:
        tell(item, errors.OutcomeUnknown() if item.sent else errors.LedgerUnavailable())


def deliver(items: Sequence[Item], reply: bytes) -> None:
    """Tell each item its part of a call's reply."""
    for item, values in zip(items, msgpack.unpackb(reply, use_list=False), strict=True):
        tell(item, Result(*values))


class Line:
    """The connection on which commit calls are made, one after another: a call may be written before the reply to the
    one before it has been read, and Redis runs and answers them in that order. ``options`` are what the script takes.

    Everything here raises RedisError or OSError after ``timeout`` seconds.
    """

    def __init__(self, connection: Any, options: bytes, now: Callable[[], str], timeout: float) -> None:
        self._connection = connection
        self._connection.socket_timeout = None  # ours bounds every call; redis-py's would make a task for each
        self._options = options
        self._now = now
        self._timeout = timeout
        self._loaded = True

    async def connect(self) -> None:
        """Does nothing on a connection that is up."""
        if not self._connection.is_connected:
            async with asyncio.timeout(self._timeout):
                await self._connection.connect()

    async def write(self, batch: Sequence[Item]) -> None:
        bases, *packed = pack_batch(batch)
        script = ("EVALSHA", scripts.sha("commit")) if self._loaded else ("EVAL", scripts.source("commit"))
        self._loaded = True
        async with asyncio.timeout(self._timeout):
            await self._connection.send_command(
                *script, len(bases), *bases, self._now(), self._options, *packed, check_health=False
            )

    async def read(self) -> bytes:
        """The reply to the oldest call that has none."""
        async with asyncio.timeout(self._timeout):
            reply: bytes = await self._connection.read_response()
        return reply

    def load_script(self) -> None:
        """Redis has forgotten the script: the next call brings it along."""
        self._loaded = False

    async def drop(self) -> None:
        """After a failure: a late reply must not be taken for a later call's."""
        await self._connection.disconnect(nowait=True)

    async def close(self) -> None:
        await self._connection.disconnect()


def pack_batch(batch: Sequence[Item]) -> tuple[list[str], bytes, bytes, bytes]:
    """A batch as the script reads it: its partitions and targets, each once, and the kinds and values of its items."""
    bases = _Places[str]()
    targets = _Places[bytes]()
    heads: list[bytes] = []
    values: list[bytes] = []
    for item in batch:
        if item.sender is None or item.target is None:
            values += (bases.place(item.room), item.fields)
        else:
            if item.target not in targets:
                heads += (bases.place(item.room), item.target)
            values += (bases.place(item.sender), targets.place(item.target), item.fields)
    kinds = bytes([item.kind for item in batch])
    return list(bases), kinds, b"".join(heads), b"".join(values)


T = TypeVar("T")


class _Places(dict[T, bytes]):
    """Things in the order in which they were first named; where one stands, from 1, as wire bytes."""

    def place(self, thing: T) -> bytes:
        return self.get(thing) or self.setdefault(thing, pack(len(self) + 1))
