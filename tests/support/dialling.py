"""Connections to Redis for tests: each alone, without a ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from gifting.ledger.address import Address
from gifting.ledger.connection import Connection
from gifting.ledger.connector import Connector
from gifting.ledger.resp import command
from gifting.tasks import end
from tests.support.waiting import until

Heard = list[tuple[bytes, bytes]]


class Listening(Connection):
    """It keeps all that was published and answered, in the order in which it came."""

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout, lambda *message: self.came.append(message))
        self.came: list[Any] = []

    def ask(self, *words: str | int | bytes) -> asyncio.Future[Any]:
        """Becomes the reply, or as its result the error."""
        answer = asyncio.get_running_loop().create_future()

        def done(reply: Any) -> None:
            self.came.append(reply)
            answer.set_result(reply)

        self.call(command(*words), done)
        return answer


@asynccontextmanager
async def listening_at(
    url: str, timeout: float = 5.0, channels: Iterable[str] = (), *, greet: bool = True
) -> AsyncIterator[Listening]:
    address = Address(url)
    connection = await address.dial(lambda: Listening(timeout))
    try:
        if greet:
            await connection.greet(address.greeting, channels)
        yield connection
    finally:
        connection.fail(ConnectionError("The test is over."))
        await connection.closed.wait()


@asynccontextmanager
async def connector_at(
    url: str, timeout: float = 5.0, channels: Iterable[str] = (), *, wait: bool = True
) -> AsyncIterator[tuple[Connector, Heard]]:
    """A connector that runs, and what it hears; with ``wait`` it is up."""
    connector, heard = Connector(Address(url), timeout), Heard()
    connector.subscribe(channels, lambda *message: heard.append(message))
    running = asyncio.create_task(connector.run())
    try:
        if wait:
            await until(lambda: connector.up)
        yield connector, heard
    finally:
        await end([running])


async def ask(connector: Connector, *words: str | int | bytes) -> Any:
    """The reply; an error is raised."""
    answer = asyncio.get_running_loop().create_future()
    connector.call(command(*words), answer.set_result)
    async with asyncio.timeout(10):
        reply = await answer
    if isinstance(reply, Exception):
        raise reply
    return reply
