"""Whether a connection still brings what is published: by heartbeats that go through Redis, and what it holds for us.

A broken connection may stay silent, and one may be answered while nothing that is published comes. When heartbeats stop
coming the connection is made anew. With each it is asked how much Redis holds for this node: one that reads more slowly
than events come parts in order, before Redis has to cut it off amid a commit or fills its memory.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from gifting.ledger.connector import Connector
from gifting.ledger.resp import command

BACKLOG_MAX: Final = 8 << 20
"""Bytes that may wait in Redis for this node. By default Redis cuts off who lets 32 MiB wait, or 8 MiB for a minute."""

_HELD: Final = re.compile(rb"\bomem=(\d+)")
_ASK_HELD: Final = command("CLIENT", "INFO")


class Pulse:
    """``beat`` gives the command that publishes a heartbeat, or nothing while none could be heard; who hears one, says
    so by :meth:`hear`. ``timeout``: seconds of silence that are borne. ``beside``: what is asked with each, and who
    takes the answer. ``alone``: nobody else asks anything that is worth waiting for.
    """

    def __init__(
        self,
        connector: Connector,
        timeout: float,
        beat: Callable[[], bytes],
        beside: Mapping[bytes, Callable[[Any], None]] = MappingProxyType({}),
        *,
        alone: bool = False,
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        self._beat = beat
        self._asked = {_ASK_HELD: self._note_held, **beside}
        self._alone = alone
        self._time = asyncio.get_running_loop().time
        self._heard_at = 0.0
        self._unanswered = 0

    @property
    def healthy(self) -> bool:
        """Whether a heartbeat was heard lately."""
        return self._time() - self._heard_at <= self._timeout

    def hear(self) -> None:
        """A heartbeat came, or a subscription began."""
        self._heard_at = self._time()

    async def run(self) -> None:
        """For ever: see to it that something is heard."""
        while True:
            if self._connector.up:
                self._look()
            if self._connector.up:
                self._ask_all()
            due = self._time() + self._timeout / 4
            await asyncio.sleep(self._timeout / 4)
            self._heard_at += max(0.0, self._time() - due)  # while the loop stands still nothing can be heard

    def _ask_all(self) -> None:
        if beat := self._beat():
            self._ask(beat, _note_nothing)
        else:
            self.hear()
        for request, note in self._asked.items():
            self._ask(request, note)

    def _look(self) -> None:
        """After too long a silence the connection is of no use; but what is committed over it is waited for."""
        if self.healthy:
            return
        silent = TimeoutError("no heartbeat came through")
        if not self._unanswered:
            self._connector.renew(silent)  # it answers, and nothing is published to us
        elif self._alone or self._unanswered == self._connector.unanswered:
            self._connector.fail(silent)

    def _ask(self, request: bytes, note: Callable[[Any], None]) -> None:
        def done(reply: Any) -> None:
            self._unanswered -= 1
            note(reply)

        self._unanswered += 1
        self._connector.call(request, done)

    def _note_held(self, info: Any) -> None:
        """What CLIENT INFO says; it may be refused."""
        held = _HELD.search(info) if isinstance(info, bytes) else None
        if held is not None and int(held[1]) > BACKLOG_MAX:
            self._connector.renew(RedisConnectionError(f"{int(held[1]):,} bytes wait for this node: it reads slowly."))


def _note_nothing(_: Any) -> None:
    """That a heartbeat went out says nothing: it is to be heard."""
