"""Waiting for what is to come about, however long a busy machine takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

WITHIN: Final = 60.0
"""Longest wait, seconds: what takes longer hangs."""

PAUSE: Final = 0.005
"""Between two looks, seconds."""


async def until(holds: Callable[[], Any], within: float = WITHIN, pause: float = PAUSE) -> Any:
    """What ``holds`` says, or is awaited to say, once that is true; of what is true for a moment only with ``pause`` 0,
    which looks in each pass of the loop.
    """
    async with asyncio.timeout(within):
        while not (found := await _said(holds)):
            await asyncio.sleep(pause)
    return found


async def until_is(look: Callable[[], Awaitable[T] | T], wanted: T, within: float = WITHIN) -> None:
    """Until ``look`` says, or is awaited to say, what is wanted."""
    async with asyncio.timeout(within):
        while await _said(look) != wanted:
            await asyncio.sleep(PAUSE)


async def _said(look: Callable[[], Any]) -> Any:
    found = look()
    return await found if isinstance(found, Awaitable) else found
