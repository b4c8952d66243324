"""Work that blocks, beside the loop: few at a time, each for so long, and not in the way when the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from gifting.errors import ProviderFailed

Made = TypeVar("Made")


class Threads:
    """``most`` run at once; further ones wait, within their own ``timeout`` (seconds).

    The threads are daemons, since a library that waits for a network can't be told to stop: what nobody waits for any
    more ends by itself, and keeps its place until then.
    """

    def __init__(self, most: int, timeout: float) -> None:
        self._free = asyncio.Semaphore(most)
        self._timeout = timeout

    async def run(self, work: Callable[[], Made]) -> Made:
        """What ``work`` returns or raises. Raises ProviderFailed where that takes too long."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
                return await self._started(work)
        except TimeoutError:
            raise ProviderFailed(f"It took more than {self._timeout:g} s.") from None

    def _started(self, work: Callable[[], Made]) -> asyncio.Future[Made]:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Made] = loop.create_future()

        def tell(settle: Callable[[], None]) -> None:
            self._free.release()
            if not outcome.done():
                settle()

        def run() -> None:
            try:
                made = work()
                settle = lambda: outcome.set_result(made)  # noqa: E731
            except Exception as error:
                failed = error
                settle = lambda: outcome.set_exception(failed)  # noqa: E731
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(tell, settle)

        Thread(target=run, name="gifting-provider", daemon=True).start()
        return outcome
