"""The link to one master: a connection over which calls go out in rounds, and are held by replicas when they end, and
one for questions: on the first they would be heard when the ``WAIT`` before them has ended.

A round is all that is ready, in one write, and behind it what :class:`Awaited` asks: one ``WAIT`` covers what was
written on its connection before it, so that it is enough for all. The next round goes when the last has ended, and no
sooner than a pause after it was written, so that few gifts a second share a master's fsync and its replica's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from msgspec import Struct

from gifting.ledger.cluster.awaited import Awaited
from gifting.ledger.cluster.rounds import Rounds
from gifting.ledger.cluster.topology import Node
from gifting.ledger.connector import Connector
from gifting.ledger.resp import command

WAIT_SHARE: Final = 0.25
"""Of the time that a call may take, how long a round waits for its replicas before it is said again."""


class Call(Struct, eq=False):
    """A call of a script that writes, in the partition of a slot. ``pack`` makes it, with the script's text or its SHA.

    ``done`` is told what Redis said, or the Exception in whose stead it said nothing, and whether replicas hold it. It
    is sent again, where it certainly has not run, until the monotonic time ``until``; ``whole`` says that Redis has to
    be told the script.
    """

    slot: int
    pack: Callable[[bool], bytes]
    done: Callable[[Any, bool], None]
    until: float
    whole: bool = False


class Query(Struct, eq=False):
    """Commands that only read, in the partition of a slot, as written; ``done`` is told all replies, or the Exception
    in whose stead there are none. It is said again until the monotonic time ``until``.
    """

    slot: int
    request: bytes
    commands: int
    done: Callable[[list[Any] | Exception], None]
    until: float


Ended = Callable[[Call, Any, bool], None]
"""Takes a call, and what its ``done`` is told unless it is sent again."""


class Round(Struct, frozen=True):
    """What was written together, when, and what came of it so far."""

    calls: list[Call]
    replies: list[Any]
    written_at: float


class Pace(Struct, frozen=True):
    """``pause``: seconds between two writes; who is ``awaited`` to hold what is written; ``timeout`` of a call."""

    pause: float
    awaited: Awaited
    timeout: float

    @property
    def patience(self) -> int:
        """Milliseconds for which a round waits for its replicas."""
        return max(1, round(self.timeout * WAIT_SHARE * 1000))


class Link:
    """Rounds over a connector's connection to a master, one at a time, and questions by ``asking``. ``rounds`` is told
    what came of each.
    """

    def __init__(
        self, node: Node, connector: Connector, asking: Connector, pace: Pace, ended: Ended, rounds: Rounds
    ) -> None:
        self.connector = connector
        self.asking = asking
        self._node = node
        self._pace = pace
        self._ended = ended
        self._rounds = rounds
        self._loop = asyncio.get_running_loop()
        self._ready: list[Call] = []
        self._round: Round | None = None
        self._sending: asyncio.Handle | None = None
        self._resting: asyncio.TimerHandle | None = None
        connector.came_up.append(self._settle)

    @property
    def idle(self) -> bool:
        return self._round is None and not self._ready

    def take(self, call: Call) -> None:
        """The next round has it."""
        self._ready.append(call)
        self._settle()

    def ask(self, query: Query, ended: Callable[[Query, list[Any] | Exception], None]) -> None:
        """At once, beside the rounds; only while ``asking`` is up."""
        replies = list[Any]()

        def end(reply: Any) -> None:
            replies.append(reply)
            refused = next((each for each in replies if isinstance(each, Exception)), None)
            ended(query, refused or replies)

        before: list[Callable[[Any], None]] = [replies.append] * (query.commands - 1)
        self.asking.call_each(query.request, [*before, end])

    def give_back(self) -> list[Call]:
        """What has not been sent, which is the caller's then."""
        ready, self._ready = self._ready, []
        return ready

    def close(self) -> None:
        """Send nothing of what is ready."""
        self._ready.clear()

    def _settle(self) -> None:
        """Send what is ready, if it may go now, with all else that comes in this pass of the loop."""
        if self._sending is None and self._may_send():
            self._sending = self._loop.call_soon(self._send)

    def _may_send(self) -> bool:
        return bool(self._ready) and self._round is None and self._resting is None and self.connector.up

    def _send(self) -> None:
        self._sending = None
        if not self._may_send():
            return
        if self._pace.pause:
            self._resting = self._loop.call_later(self._pace.pause, self._rested)
        self._round = Round(self.give_back(), [], monotonic())
        try:
            self._write(self._round)
        except Exception as error:
            self.connector.fail(error)

    def _write(self, round_: Round) -> None:
        requests = [call.pack(call.whole) for call in round_.calls]
        requests += [command(*words) for words in self._pace.awaited.asks(self._node, self._pace.patience)]
        before: list[Callable[[Any], None]] = [round_.replies.append] * (len(requests) - 1)
        self.connector.call_each(b"".join(requests), [*before, self._end_round])

    def _end_round(self, last: Any) -> None:
        """All has been answered, that who is awaited has it too; or Exceptions say why nobody knows."""
        round_, self._round = self._round, None
        assert round_ is not None
        calls, replies = round_.calls, [*round_.replies, last]
        lacks = self._pace.awaited.lacks(self._node, replies[len(calls) :])
        self._rounds.note(self._node, round_.written_at, lacks)
        for call, reply in zip(calls, replies[: len(calls)], strict=True):
            self._ended(call, reply, not lacks)
        self._settle()

    def _rested(self) -> None:
        self._resting = None
        self._settle()
