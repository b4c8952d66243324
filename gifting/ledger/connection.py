"""One connection to Redis for all that is done per event: commands go out, replies and what is published come in.

It speaks RESP3, in which both come over one connection, and most often in one read. Each reply, in the order of the
commands, becomes the call of a function: no task waits for it, and one timer watches over all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

from hiredis import PushNotification, Reader
from msgspec import Struct
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from gifting.ledger.redis_errors import read_error
from gifting.ledger.resp import Words, command

Done = Callable[[Any], None]
"""Takes a reply, or the Exception in whose stead there is none."""

Pushed = Callable[[bytes, bytes], None]
"""Takes a channel, and what was published there."""

Left = Callable[[bytes], None]
"""Takes a channel that is heard no more, whoever wanted that."""

LATE: Final = 0.03
"""Seconds that a reply which is overdue is given once more, and again while anything comes: it may be behind much that
was published, and a loop that stood still finds the time over before it has read what has long been there.
"""

_NOTHING: Final = object()
_HEAR_NO_MORE: Final = command("SUNSUBSCRIBE")
_SAID: Final = command("ECHO", "subscribed")
"""It has no reply. If it is refused, that comes behind all replies that are waited for."""


class Waiting(Struct, frozen=True):
    """A command that has been written: when (seconds of the loop's clock), and who gets the reply."""

    since: float
    done: Done


class Connection(asyncio.Protocol):
    """Each command ends as its reply, or as the error that the connection ends with, at most ``timeout`` seconds later,
    or twice as long if all the time something comes.

    ``lost`` becomes that error: RedisError, OSError, or whatever a ``done`` raised; ``closed`` is set after it.
    """

    def __init__(self, timeout: float, pushed: Pushed, left: Left = lambda channel: None) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._pushed = pushed
        self._left = left
        self._reader = Reader(protocolError=InvalidResponse, replyError=read_error, notEnoughData=_NOTHING)
        self._waiting: deque[Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._overdue: Waiting | None = None
        self._heard = False
        self._parting: Exception | None = None
        self._transport: asyncio.Transport
        self.up = True
        """Whether commands are taken."""
        self.lost: asyncio.Future[Exception] = self._loop.create_future()
        self.closed = asyncio.Event()

    # Commands.

    @property
    def unanswered(self) -> int:
        """How many commands wait for their replies."""
        return len(self._waiting)

    def call(self, request: bytes, done: Done) -> None:
        """Write a command; only while it is ``up``. ``done`` must not raise: that ends the connection."""
        self._waiting.append(Waiting(self._loop.time(), done))
        self._transport.write(request)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._watch)

    def call_each(self, request: bytes, dones: Sequence[Done]) -> None:
        """As :meth:`call`, of several commands in one write: one of ``dones`` for each, in their order."""
        *before, last = dones
        since = self._loop.time()
        self._waiting.extend(Waiting(since, done) for done in before)
        self.call(request, last)

    async def greet(self, commands: Iterable[Words], channels: Iterable[str]) -> None:
        """Say what comes first, and subscribe to ``channels``. Raises RedisError, OSError."""
        answers = [self._ask(command(*words)) for words in commands]
        if names := tuple(channels):
            # In RESP3 a subscription has no reply, unless it is refused: so something is said behind it that has one.
            answers.append(self._ask(command("SSUBSCRIBE", *names) + _SAID))
        await asyncio.gather(*answers)

    def hear(self, channel: str, done: Callable[[Exception | None], None]) -> None:
        """Hear what is published on ``channel`` too; ``done`` gets None once that is so, or why not."""
        self._call_mute(command("SSUBSCRIBE", channel), done)

    def hear_no_more(self, channel: str) -> None:
        """Of ``channel``."""
        self._call_mute(command("SUNSUBSCRIBE", channel), lambda refused: None)

    def _call_mute(self, request: bytes, done: Callable[[Exception | None], None]) -> None:
        """A command whose reply is a push, as the server's own may be, unless it is refused."""
        refused: Exception | None = None

        def answered(reply: Any) -> None:
            nonlocal refused
            refused = reply if isinstance(reply, Exception) else refused
            if refused is reply and not self.lost.done():
                self._waiting.appendleft(Waiting(self._loop.time(), answered))  # what is behind it is answered yet
            else:
                done(refused)

        self.call(request + _SAID, answered)

    def _ask(self, request: bytes) -> asyncio.Future[Any]:
        answer = self._loop.create_future()

        def done(reply: Any) -> None:
            if answer.done():
                return
            if isinstance(reply, Exception):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

        self.call(request, done)
        return answer

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        reader.feed(data)
        self._heard = True
        try:
            while (reply := reader.gets()) is not _NOTHING:
                if type(reply) is PushNotification:
                    if reply[0] == b"smessage":
                        self._pushed(reply[1], reply[2])
                    elif reply[0] == b"sunsubscribe" and reply[1] is not None:
                        self._left(reply[1])
                elif waiting:
                    waiting.popleft().done(reply)
                else:
                    self.fail(InvalidResponse("Redis said something that nobody had asked for."))
        except Exception as error:
            self.fail(error)
        if self._parting is not None and not waiting:
            self.fail(self._parting)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(exc or RedisConnectionError("Redis closed the connection."))
        self.closed.set()

    # The end.

    def part(self, why: Exception) -> None:
        """Take no more commands, hear no more of what is published, and end when all are answered."""
        self._parting, self.up = why, False
        if self._waiting:
            self._transport.write(_HEAR_NO_MORE)
        else:
            self.fail(why)

    def fail(self, error: Exception) -> None:
        """End at once. What was asked and is not answered ends with ``error``."""
        if self.lost.done():
            return
        self.lost.set_result(error)
        self.up = False
        self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            self._waiting.popleft().done(error)

    def _watch(self) -> None:
        """The oldest command may have waited too long."""
        self._timer = None
        if not self._waiting:
            return
        oldest = self._waiting[0]
        late = self._loop.time() - oldest.since - self._timeout
        if late < 0:
            self._timer = self._loop.call_later(-late, self._watch)
        elif self._overdue is not oldest or (self._heard and late < self._timeout):
            self._overdue, self._heard = oldest, False
            self._timer = self._loop.call_later(LATE, self._watch)
        else:
            self.fail(TimeoutError(f"Redis did not answer within {self._timeout:g} s."))
