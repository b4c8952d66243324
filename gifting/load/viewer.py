"""Viewers that check every frame and decode hardly any.

The server sends all viewers of a room the same bytes. So a process decodes a frame when it first sees it, and
knows it again by its size and its head, which holds the room, the seq and the number of events. Every viewer
then checks that each frame starts where its last one ended.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from gifting.errors import GiftingError
from gifting.load.counters import Complaints, Phases, Shown
from gifting.load.plan import Target
from gifting.load.socket import Socket, masked
from gifting.load.stamps import read_stamp
from gifting.model.packing import pack, unpack
from gifting.wire.close import may_reconnect
from gifting.wire.codec import BINARY, MSGPACK

KNOWN_MAX: Final = 4096
"""Frames remembered per process."""

AFTER_ROOM: Final = 1 + 5 + 4 + 9 + 7 + 5
"""Bytes of a frame's head besides the room: map, ``room``, ``seq``, its number, ``events``, its count."""

SLOW_RECEIVE_BUFFER: Final = 65_536
ANSWER_WITHIN_S: Final = 30.0
REOPEN_AFTER_S: Final = 0.2
REOPEN_TRIES: Final = 150
"""Half a minute: a server that is stopped drains for 10 s at most, and starts again within a few."""


class Frame(NamedTuple):
    """What there is to know of a frame: numbered events ``first`` to ``last`` (0: it has none)."""

    first: int
    last: int
    events: int
    sent: tuple[int, ...]
    """Send times of the sampled gifts in it, monotonic ns."""
    epoch: int | None = None


class ViewerTally:
    """What the viewers of one process share.

    Viewers that come and go are sent frames of their own. With ``exact`` a frame is known again by a digest of all
    of it, since two such may have the same head.
    """

    def __init__(self, lane: str, *, exact: bool = False) -> None:
        self.lane = lane
        self.exact = exact
        self.known: dict[tuple[bytes, int], Frame] = {}
        self.frames = 0
        self.events = 0
        self.closes: Counter[int] = Counter()
        self.actions: Counter[str] = Counter()
        self.complaints = Complaints()
        self.seen = Shown()
        self.phases = Phases(lambda: (self.events, self.frames))
        self.progressed = asyncio.Event()

    def take(self, data: bytes, start: int, end: int, head: int) -> Frame:
        """What the frame at ``data[start:end]``, whose head is ``head`` bytes, holds."""
        if self.exact:
            key = blake2b(data[start:end], digest_size=16).digest(), end - start
        else:
            key = data[start : min(end, start + head)], end - start
        return self.known.get(key) or self.learn(key, unpack(data[start:end]))

    def learn(self, key: tuple[bytes, int], message: dict[str, Any]) -> Frame:
        """Decode a frame seen for the first time."""
        frame = self._examine(message)
        self.known[key] = frame
        if len(self.known) > KNOWN_MAX:
            del self.known[next(iter(self.known))]
        return frame

    def _examine(self, message: dict[str, Any]) -> Frame:
        room, events = message["room"], message["events"]
        seqs = [event["seq"] for event in events if "seq" in event]
        first, last = (seqs[0], message["seq"]) if seqs else (0, 0)
        if self.lane == "all" and seqs and seqs != list(range(first, last + 1)):
            self.complaints.add(f"{room}: a frame up to {last} has {len(seqs)} events from {first}, not in a row.")
        sent = []
        for event in events:
            if event["type"] == "gift" and event["count"]:
                self.seen.add(room, event["seq"])
                if (due := read_stamp(event.get("message"))) is not None:
                    sent.append(due)
        return Frame(first, last, len(events), tuple(sent), message.get("epoch"))


class Viewer(Socket):
    """One viewer of one room."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tally: ViewerTally,
        *,
        target: Target,
        token: str,
        room: str,
        user: str,
        slow: bool = False,
    ) -> None:
        super().__init__(loop)
        self._tally, self._target, self._token = tally, target, token
        self._head = AFTER_ROOM + len(pack(room))
        self._prefix = b"\xa4room" + pack(room)
        self._incoming: Frame | None = None
        self._joined: asyncio.Future[dict[str, Any]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._turn = 0
        self._returning = False
        self.last = -1
        self.epoch: int | None = None
        self.closes = 0
        self.room, self.user, self.slow = room, user, slow
        self.stopping = False

    async def join(self) -> None:
        """Connect and subscribe; again from the last seq if there is one.

        Raises:
            OSError, GiftingError: it did not work.
        """
        receive_buffer = SLOW_RECEIVE_BUFFER if self.slow else 0
        await self.open(self._target, self._token, receive_buffer=receive_buffer)
        await self.subscribe()

    async def subscribe(self) -> None:
        """Join over the connection there is. Raises as :meth:`join` does."""
        if not self.is_open:
            raise ConnectionResetError("closed before the join")
        self._joined = self._loop.create_future()
        request = {"op": "join", "id": 1, "room": self.room, "lane": self._tally.lane}
        if self.last >= 0:
            request |= {"since": self.last} if self.epoch is None else {"since": self.last, "epoch": self.epoch}
        self.write(masked(BINARY, MSGPACK.encode(request)))
        reply = await self._answer_of(self._joined, "join")
        if not reply["ok"]:
            raise GiftingError(f"{self.user} could not join {self.room}: {reply['error']}")

    async def _answer_of(self, asked: asyncio.Future[Any], op: str) -> Any:
        """Wait for an answer; a server that gives none is a discrepancy. Raises as :meth:`join` does."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await asked
        except TimeoutError:
            self._tally.complaints.add(f"{self.room}: {self.user} had no answer to {op} in {ANSWER_WITHIN_S:.0f} s.")
            raise ConnectionAbortedError(f"no answer to {op}") from None

    def message(self, data: bytes, start: int, end: int) -> None:
        if data.startswith(self._prefix, start + 1):
            self._take(self._tally.take(data, start, end, self._head))
        else:
            self._take_reply(unpack(data[start:end]))

    def can_skip(self, data: bytes, start: int, size: int) -> bool:
        if self._tally.exact or len(data) - start < self._head:
            return False
        self._incoming = self._tally.known.get((data[start : start + self._head], size))
        return self._incoming is not None

    def skipped(self) -> None:
        if self._incoming is not None:
            self._take(self._incoming)

    def _take(self, frame: Frame) -> None:
        tally = self._tally
        tally.frames += 1
        tally.events += frame.events
        if frame.last:
            expected = self.last + 1
            if frame.first != expected and (tally.lane == "all" or frame.first < expected):
                tally.complaints.add(
                    f"{self.room}: {self.user} waited for {expected} and got {frame.first} to {frame.last}."
                )
            self.last, self.epoch = frame.last, frame.epoch
            if frame.sent and tally.phases.current is not None and not self.slow:
                self._turn = turn = (self._turn + 1) % len(frame.sent)
                tally.phases.current.add(time.monotonic_ns() - frame.sent[turn], len(frame.sent))
            tally.progressed.set()

    def _take_reply(self, reply: dict[str, Any]) -> None:
        if reply["ok"]:
            if self.last >= 0 and reply["gap"]:
                self._tally.complaints.add(f"{self.room}: {self.user} came back at {self.last} to a gap.")
            if self.last < 0 or reply["gap"]:
                self.last, self.epoch = reply["room"]["seq"], reply["room"].get("epoch")
        if self._joined is not None and not self._joined.done():
            self._joined.set_result(reply)

    def lost(self, code: int) -> None:
        waits = self._joined is not None and not self._joined.done()
        if self._joined is not None and waits:
            self._joined.set_exception(ConnectionResetError(f"closed with {code}"))
        if self.stopping:
            return
        self._tally.closes[code] += 1
        self.closes += 1
        if may_reconnect(code) and not waits and not self._returning:
            self._task = self._loop.create_task(self.come_back())

    def hang_up(self) -> None:
        """Close without the reflex to come back."""
        self.stopping = True
        self.close()
        self.stopping = False

    async def come_back(self) -> None:
        """Connect and join again, from the last seq if there is one."""
        self._returning = True
        try:
            for _ in range(REOPEN_TRIES):
                await asyncio.sleep(REOPEN_AFTER_S)
                self.hang_up()
                with suppress(OSError, GiftingError):
                    await self.join()
                    return
        finally:
            self._returning = False
        self._tally.complaints.add(f"{self.room}: {self.user} could not come back.")

    def stop(self) -> None:
        self.stopping = True
        if self._task is not None:
            self._task.cancel()
        self.close()
