"""The connection over which commit calls are made, several at a time, and the chain that keeps them in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from secrets import token_hex
from time import monotonic
from typing import Final

from redis.asyncio.connection import AbstractConnection

from gifting.histogram import Histogram
from gifting.ledger import scripts
from gifting.ledger.commit import PendingCommit, pack_batch
from gifting.ledger.spot import bulk

NOT_IN_TURN: Final = b""
"""The reply to a call that has not run because the one before it has not."""

_EVALSHA: Final = bulk(b"EVALSHA") + bulk(scripts.sha("commit").encode())
_EVAL: Final = bulk(b"EVAL") + bulk(scripts.source("commit").encode())


class CommitConnection:
    """Commit calls, one after another: a call may be written before the reply to the one before it has been read, and
    Redis runs and answers them in that order.

    If Redis turns one away (it has forgotten the script, it is busy), the next one may run all the same. So a call that
    is written beside another names it, and the script runs only if that one has run to its end. It finds out under a
    key of its own that begins with ``chain``. Numbers are not used again, on a new connection neither.

    ``options`` are what the script takes. Everything here raises RedisError or OSError after ``timeout`` seconds.
    """

    def __init__(
        self, connection: AbstractConnection, chain: str, options: bytes, now: Callable[[], str], timeout: float
    ) -> None:
        self._connection = connection
        self._connection.socket_timeout = None  # ours bounds every call; redis-py's would make a task for each
        self._chain = f"{chain}:{token_hex(8)}"
        self._number = 0
        self._options = options
        self._now = now
        self._timeout = timeout
        self._loaded = True
        self.linked = False
        """Whether the last call can be named by the next."""
        self._written: deque[float] = deque()
        self.took = Histogram()
        """Calls, from written until answered."""

    @property
    def up(self) -> bool:
        return bool(self._connection.is_connected)

    async def connect(self) -> None:
        """Does nothing on a connection that is up."""
        if self.up:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._connection.connect()
        except BaseException:
            await self.drop()
            raise

    async def write(self, batch: Sequence[PendingCommit], *, link: bool, beside: bool = False) -> None:
        """``link`` lets the next call be written beside this one. One that is written ``beside`` another is linked."""
        keys, count, arguments = pack_batch(batch)
        after = number = ""
        if link:
            keys, count = keys + bulk(self._chain.encode()), count + 1
            after = str(self._number) if beside else ""
            self._number += 1
            number = str(self._number)
        self.linked = link
        script = _EVALSHA if self._loaded else _EVAL
        self._loaded = True
        values = (self._now().encode(), self._options, *arguments, after.encode(), number.encode())
        head = b"*%d\r\n" % (3 + count + len(values)) + script + bulk(b"%d" % count)
        self._written.append(monotonic())
        async with asyncio.timeout(self._timeout):
            await self._connection.send_packed_command([head, keys, *map(bulk, values)], check_health=False)

    async def read(self) -> bytes:
        """The reply to the oldest call that has none."""
        written = self._written.popleft() if self._written else monotonic()
        async with asyncio.timeout(self._timeout):
            reply: bytes = await self._connection.read_response()
        self.took.observe(monotonic() - written)
        return reply

    def load_script(self) -> None:
        """Redis has forgotten the script: the next call brings it along."""
        self._loaded = False

    async def drop(self) -> None:
        """After a failure: a late reply must not be taken for a later call's."""
        self._written.clear()
        await self._connection.disconnect(nowait=True)

    async def close(self) -> None:
        await self._connection.disconnect()
