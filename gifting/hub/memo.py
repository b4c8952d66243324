"""What was made for one reader and may be wanted by the next: after a reconnect storm many lack the same."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """The newest few results, each with its bytes: ``size`` bytes of them at most, or a single larger one."""

    __slots__ = ("_kept", "_left", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._kept: dict[Hashable, tuple[bytes, T]] = {}

    def get(self, key: Hashable) -> tuple[bytes, T] | None:
        return self._kept.get(key)

    def put(self, key: Hashable, data: bytes, result: T) -> None:
        self._kept[key] = data, result
        self._left -= len(data)
        while self._left < 0 and len(self._kept) > 1:
            oldest, _ = self._kept.pop(next(iter(self._kept)))
            self._left += len(oldest)

    def clear(self) -> None:
        self._kept.clear()
        self._left = self._size
