"""Commands to one node of a cluster, and its replies: whether they may have run is never in doubt without need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from gifting.ledger.pool import MAX_CONNECTIONS, open_pool
from gifting.ledger.resp import Words

FAILURES: Final = (RedisError, OSError)


class NotSent(RedisConnectionError):
    """There was no connection: nothing was sent."""


class Exchange:
    """Connections to the node at ``url``: at most ``most``, each for one exchange at a time."""

    def __init__(self, url: str, timeout: float, most: int = MAX_CONNECTIONS) -> None:
        self._pool = open_pool(url, timeout, most)

    async def __call__(self, commands: Sequence[Words] | Iterable[Words]) -> list[Any]:
        """Say all commands in one write, and hear all replies; errors that Redis answers are among them.

        Raises:
            NotSent: nothing was sent.
            RedisError, OSError: something was, and not all was answered: any of it may have run.
        """
        commands = list(commands)
        connection = await self._connection()
        try:
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            return [await _reply(connection) for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)  # what was not read must not be taken for another's reply
            raise
        finally:
            await asyncio.shield(self._pool.release(connection))

    async def _connection(self) -> Any:
        try:
            return await self._pool.get_connection()
        except AuthenticationError:
            raise
        except FAILURES as error:
            raise NotSent(*error.args) from None

    async def close(self) -> None:
        await self._pool.disconnect()


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
