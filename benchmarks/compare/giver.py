"""A peer that takes gifts besides: coins are debited, once, and that is on disk before the reply."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from benchmarks.compare.peer import Opening, Peer, Running
from gifting.bench.spec import Replies


class Giver(Peer):
    """A peer with money. One coin buys one gift."""

    replies: ClassVar[Replies]
    """How it tells that a gift was accepted."""
    gift_opcode: ClassVar[int]

    @abstractmethod
    def sender(self, room: str, number: int) -> Opening:
        """How sender ``number`` connects."""

    @abstractmethod
    def gift(self, room: str, key: str) -> bytes:
        """The message that sends one gift; ``key`` (36 characters) stands in it as it is."""

    @abstractmethod
    async def grant(self, running: Running, senders: Sequence[int], coins: int) -> None:
        """Give each sender coins."""

    @abstractmethod
    async def coins(self, running: Running, senders: Sequence[int]) -> int:
        """Coins that the senders have left, together."""
