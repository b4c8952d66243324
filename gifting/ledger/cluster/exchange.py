"""Commands to one node of a cluster, and its replies; of each it is known whether it can have run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import AuthenticationError, RedisError

from gifting.ledger.address import Address
from gifting.ledger.connection import Connection
from gifting.ledger.redis_errors import NotSent, Unanswered
from gifting.ledger.resp import Words, command

FAILURES: Final = (RedisError, OSError)

CONNECTIONS_MAX: Final = 32
"""Connections of one process to one node; who finds them all in use waits for one, up to the time-out."""


_NO_LONGER: Final = Unanswered("The connection is not kept.")


class Exchange:
    """Connections to the node at ``url``, at most ``most``, each for one exchange at a time, and kept for the next.

    A node that does not answer for ``timeout`` seconds is given up.
    """

    def __init__(self, url: str, timeout: float, most: int = CONNECTIONS_MAX) -> None:
        self._address = Address(url)
        self._timeout = timeout
        self._places = asyncio.Semaphore(most)
        self._idle: list[Connection] = []
        self._used: set[Connection] = set()
        self._retired = False

    async def __call__(self, commands: Sequence[Words]) -> list[Any]:
        """Say all commands in one write, and hear all replies; errors are among them, as :class:`Unanswered` is.

        Raises:
            NotSent: nothing was sent.
            AuthenticationError: likewise, as the node does not let us in.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._places.acquire()
        except TimeoutError:
            raise NotSent("All connections are in use.") from None
        try:
            return await self._talk(await self._connection(), commands)
        finally:
            self._places.release()

    async def _talk(self, connection: Connection, commands: Sequence[Words]) -> list[Any]:
        answers = _Answers(connection, len(commands))
        try:
            connection.call(b"".join(command(*words) for words in commands), answers.take)
            for _ in commands[1:]:
                connection.call(b"", answers.take)  # it was written with the first
            await answers.whole
        except BaseException:
            connection.fail(Unanswered("It was given up."))  # what comes must not be taken for another's reply
            raise
        finally:
            self._used.discard(connection)
            self._keep(connection)
        return answers.replies

    async def _connection(self) -> Connection:
        while self._idle:
            if (connection := self._idle.pop()).up:
                self._used.add(connection)
                return connection
        try:
            connection = await self._connect()
        except AuthenticationError:
            raise
        except FAILURES as error:
            raise NotSent(f"There is no connection: {str(error) or 'it does not answer in time'}.") from None
        if not connection.up:  # it was closed between its last reply and here
            self._used.discard(connection)
            raise NotSent("The connection was lost before anything was said.")
        return connection

    async def _connect(self) -> Connection:
        connection = await self._address.dial(lambda: Connection(self._timeout, _hear_nothing))
        self._used.add(connection)
        try:
            await connection.greet(self._address.greeting, ())
        except BaseException as error:
            self._used.discard(connection)
            connection.fail(error if isinstance(error, Exception) else NotSent("It was given up."))
            raise
        if not connection.up:
            self._used.discard(connection)
            raise NotSent(f"It was lost at once: {connection.lost.result()}")
        return connection

    def _keep(self, connection: Connection) -> None:
        if self._retired:
            connection.fail(_NO_LONGER)
        elif connection.up:
            self._idle.append(connection)

    def retire(self) -> None:
        """Keep no connection: what is being said is still heard."""
        self._retired = True
        for connection in self._idle:
            connection.fail(_NO_LONGER)
        self._idle.clear()

    async def close(self) -> None:
        """What is being said ends as unanswered."""
        connections = [*self._idle, *self._used]
        self.retire()
        for connection in connections:
            connection.fail(_NO_LONGER)
        for connection in connections:
            await connection.closed.wait()


class _Answers:
    """``replies`` in the order of the commands; ``whole`` is done with the last."""

    def __init__(self, connection: Connection, count: int) -> None:
        self._connection, self._count = connection, count
        self.replies: list[Any] = []
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, reply: Any) -> None:
        """Once the connection is lost, its error stands for each reply that is missing."""
        self.replies.append(Unanswered(str(reply)) if self._connection.lost.done() else reply)
        if len(self.replies) == self._count and not self.whole.done():
            self.whole.set_result(None)


def _hear_nothing(channel: bytes, message: bytes) -> None:
    """These connections subscribe to nothing."""
