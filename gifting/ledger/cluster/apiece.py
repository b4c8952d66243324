"""Work for partitions side by side, one piece apiece at a time: whose master is dead holds up nobody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Set
from typing import Any, Generic, TypeVar

from gifting.ledger.calls import REDIS_ERRORS
from gifting.tasks import end

log = logging.getLogger(__name__)

T = TypeVar("T")


class Apiece(Generic[T]):
    """``patience``: seconds for which what has been begun is waited for; what ends later is told the next time."""

    def __init__(self, name: str, patience: float) -> None:
        self._name = name
        self._patience = patience
        self._tasks: dict[int, asyncio.Task[T]] = {}

    @property
    def busy(self) -> Set[int]:
        """The numbers of those for which something is under way."""
        return self._tasks.keys()

    async def do(self, work: Mapping[int, Callable[[], Coroutine[Any, Any, T]]]) -> dict[int, T]:
        """Begin it where nothing is under way. Returns what came of all that has ended since the last time, but for
        what failed by Redis; raises what else something failed by.
        """
        begun = {
            number: asyncio.create_task(begin(), name=f"ledger: {self._name} {number}")
            for number, begin in work.items()
            if number not in self._tasks
        }
        self._tasks |= begun
        if begun:
            await asyncio.wait(begun.values(), timeout=self._patience)
        ended = {number: task for number, task in self._tasks.items() if task.done()}
        found = dict[int, T]()
        for number, task in ended.items():
            del self._tasks[number]
            try:
                found[number] = task.result()
            except REDIS_ERRORS as error:
                log.info("%s of partition %d: %s", self._name, number, error)
        return found

    async def until_one(self) -> None:
        """Wait until something has ended that is under way."""
        await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """End what is under way."""
        await end(self._tasks.values())
        self._tasks.clear()
