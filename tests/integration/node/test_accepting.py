"""How connections are accepted, and that they no longer are."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any, ClassVar

import uvloop
from starlette.applications import Starlette

from gifting.config import load
from gifting.serving import ACCEPTED_AT_ONCE, all_started, client_server, listen

MANY = 64


@asynccontextmanager
async def serving(accepted: Callable[[], object] = lambda: None) -> AsyncIterator[Any]:
    """The address of a server while it serves; told of each socket that it accepts."""

    def protocol(**_: Any) -> asyncio.Protocol:
        accepted()
        return asyncio.Protocol()

    settings = load({"port": 0, "host": "127.0.0.1"}, environ={})
    (listener,) = listen(settings)
    address = listener.getsockname()
    server = client_server(Starlette(), protocol, settings, listener)
    task = asyncio.create_task(server.run_on_listener())
    assert await all_started([server], [task])
    yield address
    server.should_exit = True
    await task


async def accept_many() -> list[int]:
    """In which pass of the loop each of many connections was taken that came at once."""
    loop, passes, taken = asyncio.get_running_loop(), 0, list[int]()

    def count() -> None:
        nonlocal passes
        passes += 1
        loop.call_soon(count)

    with ExitStack() as clients:
        async with serving(lambda: taken.append(passes)) as address:
            for _ in range(MANY):
                clients.enter_context(socket.create_connection(address))
            count()
            while len(taken) < MANY:
                await asyncio.sleep(0)
    return taken


def test_a_pass_accepts_several() -> None:
    """When all come back at once, a pass for each would cost more than what is done for it."""
    taken = uvloop.run(accept_many())
    assert max(map(taken.count, taken)) == ACCEPTED_AT_ONCE
    assert len(set(taken)) <= MANY / ACCEPTED_AT_ONCE + 2


class Watched(socket.socket):
    """Notes whether a call of its file would block, each time it has been duplicated."""

    blocking: ClassVar[list[bool]] = []

    def dup(self) -> Watched:
        copy = super().dup()
        self.blocking.append(os.get_blocking(copy.fileno()))
        return copy


def test_the_file_of_all_workers_never_blocks() -> None:
    """A worker that starts would else stop one that is about to find that nobody is left to accept."""

    async def start_another() -> None:
        settings = load({"port": 0, "host": "127.0.0.1"}, environ={})
        (inherited,) = listen(settings)
        inherited.setblocking(False)  # by a worker that serves already
        listener = Watched(fileno=inherited.detach())
        server = client_server(Starlette(), lambda **_: asyncio.Protocol(), settings, listener)
        task = asyncio.create_task(server.run_on_listener())
        assert await all_started([server], [task])
        server.should_exit = True
        await task

    uvloop.run(start_another())
    assert Watched.blocking == [False] * (ACCEPTED_AT_ONCE - 1)


def test_nobody_is_accepted_any_more() -> None:
    """All that it listened with is closed when it has stopped."""

    async def stopped() -> Any:
        async with serving() as address:
            return address

    with socket.socket() as client:
        assert client.connect_ex(uvloop.run(stopped()))
