"""One commit call on the wire: its items, how they are packed, what comes back, and the connection it goes over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

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

    ``sender`` is the base of the sender's partition, None for what is free; only what has a sender has a key, which
    makes it safe to send again. ``sent`` says that it was sent before, and what became of it is not known.
    """

    kind: int
    sender: str | None
    room: str
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
        bases, values = _address(batch)
        kinds = bytes([item.kind for item in batch])
        script = ("EVALSHA", scripts.sha("commit")) if self._loaded else ("EVAL", scripts.source("commit"))
        self._loaded = True
        async with asyncio.timeout(self._timeout):
            await self._connection.send_command(
                *script, len(bases), *bases, self._now(), self._options, kinds, values, check_health=False
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


def _address(batch: Sequence[Item]) -> tuple[list[str], bytes]:
    """The partitions of a batch, each once, and the values of its items as the script reads them."""
    numbers: dict[str, bytes] = {}
    parts: list[bytes] = []
    for item in batch:
        for base in (item.sender, item.room):
            if base is not None:
                parts.append(numbers.get(base) or numbers.setdefault(base, pack(len(numbers) + 1)))
        parts.append(item.fields)
    return list(numbers), b"".join(parts)
