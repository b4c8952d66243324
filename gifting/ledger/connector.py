"""Keeps one :class:`Connection` to Redis up: makes it, and makes it anew when it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from redis.exceptions import RedisError

from gifting.ledger.address import Address
from gifting.ledger.connection import Connection, Done, Left, Pushed

log = logging.getLogger(__name__)

RETRY_PAUSE: Final = 0.05
"""Seconds between two tries while Redis is away."""


class Connector:
    """The connection of one process over which it commits and hears what is published.

    ``came_up`` are called when there is a connection, ``tried`` after each try that brought none, or lost one.
    A command may wait ``timeout`` seconds for its reply.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._channels: tuple[str, ...] = ()
        self._pushed: Pushed = _ignore
        self._left: Left = _note_nothing
        self._connection: Connection | None = None
        self._trouble = ""
        self.came_up: list[Callable[[], None]] = []
        self.tried: list[Callable[[], None]] = []

    def subscribe(self, channels: Iterable[str], pushed: Pushed, left: Left | None = None) -> None:
        """Hear what is published on ``channels``, from the next connection on; ``left`` is told what is heard no more.

        Of a cluster's node ``channels`` must be of one slot, or none: see :meth:`hear`.
        """
        self._channels, self._pushed, self._left = tuple(channels), pushed, left or _note_nothing

    # The connection that there is.

    @property
    def up(self) -> bool:
        """Whether commands are taken."""
        connection = self._connection
        return connection is not None and connection.up

    @property
    def unanswered(self) -> int:
        """How many commands wait for their replies."""
        return self._connection.unanswered if self._connection is not None else 0

    def call(self, request: bytes, done: Done) -> None:
        """As :meth:`Connection.call`; only while it is ``up``."""
        assert self._connection is not None
        self._connection.call(request, done)

    def call_each(self, request: bytes, dones: Sequence[Done]) -> None:
        """As :meth:`Connection.call_each`; only while it is ``up``."""
        assert self._connection is not None
        self._connection.call_each(request, dones)

    def hear(self, channel: str, done: Callable[[Exception | None], None]) -> None:
        """As :meth:`Connection.hear`; only while it is ``up``, and as long as this connection lasts."""
        assert self._connection is not None
        self._connection.hear(channel, done)

    def hear_no_more(self, channel: str) -> None:
        """As :meth:`Connection.hear_no_more`."""
        if self.up:
            assert self._connection is not None
            self._connection.hear_no_more(channel)

    def renew(self, why: Exception) -> None:
        """Make the connection anew when all that was asked is answered."""
        if self._connection is not None:
            self._connection.part(why)

    def fail(self, why: Exception) -> None:
        """Give the connection up at once."""
        if self._connection is not None:
            self._connection.fail(why)

    # Its life.

    async def run(self) -> None:
        """For ever: keep a connection. Raises what a function raised that took a reply."""
        while True:
            try:
                await self._keep_one()
            except (RedisError, OSError) as error:  # TimeoutError is an OSError
                self._tell_trouble(error)
            _call_each(self.tried)
            await asyncio.sleep(RETRY_PAUSE)

    async def _keep_one(self) -> None:
        """Raises what it ended with."""
        connection = await self._address.dial(lambda: Connection(self._timeout, self._pushed, self._left))
        try:
            await connection.greet(self._address.greeting, self._channels)
            self._connection = connection
            self._trouble = ""
            _call_each(self.came_up)
            await asyncio.wait([connection.lost])
            raise connection.lost.result()
        finally:
            self._connection = None
            connection.fail(ConnectionError("The server lets go of it."))
            await connection.closed.wait()

    def _tell_trouble(self, error: Exception) -> None:
        """Once, until there is a connection or the trouble is another."""
        trouble = f"the connection to Redis: {type(error).__name__}: {error}"
        if trouble != self._trouble:
            log.warning(trouble)
        self._trouble = trouble


def _call_each(functions: Iterable[Callable[[], None]]) -> None:
    for function in functions:
        function()


def _note_nothing(channel: bytes) -> None:
    """Nobody minds."""


def _ignore(channel: bytes, payload: bytes) -> None:
    """Nobody has subscribed to anything."""
