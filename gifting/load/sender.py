"""Senders: every gift has its key, its intended send time and is counted once it is answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from typing import Final, NamedTuple

import msgspec

from gifting.load.counters import Complaints, Phases, Seqs
from gifting.load.plan import SenderPlan
from gifting.load.socket import Socket, masked
from gifting.load.stamps import stamp
from gifting.model.money import make_key
from gifting.model.packing import pack
from gifting.wire.codec import BINARY

LATE_NS: Final = 10_000_000
"""A gift sent this long after its intended time counts as late: the generator did not keep up."""

PAUSE_WHEN_REFUSED_S: Final = 0.05


class _Error(msgspec.Struct):
    code: str = ""
    temporary: bool = False
    confirm: str = ""


class Reply(msgspec.Struct):
    re: int = -1
    ok: bool = False
    seq: int = 0
    coins: int = 0
    duplicate: bool = False
    pending: bool = False
    state: str = ""
    error: _Error | None = None

    @property
    def confirm(self) -> str:
        """With this the same gift goes through; '' where nothing has to be confirmed."""
        return self.error.confirm if self.error else ""


decode_reply = msgspec.msgpack.Decoder(Reply).decode


class _Waiting(NamedTuple):
    """A gift that has no reply yet. It was due at ``due`` (monotonic ns), and ``sampled`` tells that to who sees it."""

    due: int
    key: str
    sampled: bool


class SenderTally:
    """What the senders of one process share."""

    def __init__(self, plan: SenderPlan) -> None:
        self.plan = plan
        self.open = False
        self.over = False
        self.issued = 0
        self.accepted = 0
        self.answered = 0
        self.late = 0
        self.unsent = 0
        self.free = 0
        self.repeated = 0
        self.refused: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()
        self.seqs = Seqs()
        self.keys: defaultdict[str, bytearray] = defaultdict(bytearray)
        self.complaints = Complaints()
        self.phases = Phases(lambda: (self.accepted,))
        self.settled = asyncio.Event()

    def accept(self, user: str, room: str, reply: Reply, due: int, price: int, key: bytes = b"") -> None:
        """Enter a gift that the server took; it was due at ``due`` (monotonic ns). A pending one has no seq yet."""
        if self.phases.current is not None:
            self.phases.current.add(time.monotonic_ns() - due)
        self.accepted += 1
        self.spent[user] += price
        if not reply.pending:
            self.seqs.add(room, reply.seq)
            self.keys[room] += key

    def refuse(self, reply: Reply) -> None:
        self.refused[reply.error.code if reply.error else reply.state or "?"] += 1

    def answer(self) -> None:
        self.answered += 1
        if not self.open and self.answered == self.issued:
            self.settled.set()

    def close(self) -> None:
        """Send no more."""
        self.open, self.over = False, True
        if self.answered == self.issued:
            self.settled.set()


class Sender(Socket):
    """One connection that sends gifts into one room."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tally: SenderTally, user: str, room: str) -> None:
        super().__init__(loop)
        self._tally = tally
        self._id = 0
        self._limit = tally.plan.in_flight
        self._pending: dict[int, _Waiting] = {}
        self._held = False
        self.user, self.room = user, room
        fields = {"op": "send_gift", "room": room, "gift": tally.plan.gift}
        self._body = b"".join(pack(name) + pack(value) for name, value in fields.items()) + pack("id")

    def fill(self) -> None:
        """Closed loop: send until ``in_flight`` gifts wait."""
        free = self._limit - len(self._pending)
        if free > 0 and self._tally.open and self.is_open and not self._held:
            now = time.monotonic_ns()
            self.write(b"".join([self._gift(now) for _ in range(free)]))

    def send(self, due: int, now: int) -> None:
        """Open loop: send the gift that was due at ``due`` (monotonic ns)."""
        if now - due > LATE_NS:
            self._tally.late += 1
        if len(self._pending) >= self._limit or not self.is_open:
            self._tally.unsent += 1
            return
        self.write(self._gift(due))

    def _gift(self, due: int) -> bytes:
        tally = self._tally
        tally.issued += 1
        key = make_key(time.time_ns() // 1_000_000, random.randbytes(10))  # noqa: S311
        return self._say(_Waiting(due, key, tally.issued % tally.plan.sample == 0))

    def _say(self, gift: _Waiting, confirm: str = "") -> bytes:
        self._id = number = self._id + 1
        self._pending[number] = gift
        fields = 5 + gift.sampled + bool(confirm)
        number_and_key = b"\xce" + number.to_bytes(4, "big") + b"\xa3key\xd9\x24" + gift.key.encode()
        parts = [bytes((0x80 | fields,)), self._body, number_and_key]
        if gift.sampled:
            parts.append(b"\xa7message" + pack(stamp(gift.due)))
        if confirm:
            parts.append(b"\xa7confirm" + pack(confirm))
        return masked(BINARY, b"".join(parts))

    def message(self, data: bytes, start: int, end: int) -> None:
        reply = decode_reply(data[start:end])
        tally = self._tally
        gift = self._pending.pop(reply.re, None)
        if gift is None:
            tally.complaints.add(f"{self.user} got a reply to message {reply.re}, which waits for none.")
            return
        if reply.confirm:
            self.write(self._say(gift, reply.confirm))
            return
        if reply.ok:
            tally.accept(self.user, self.room, reply, gift.due, tally.plan.price)
            if reply.duplicate:
                tally.complaints.add(f"{self.user} sent a new key and was told it is a duplicate.")
        else:
            tally.refuse(reply)
            self._hold()
        tally.answer()

    def _hold(self) -> None:
        """The closed loop takes a breath when it is refused, else it would only be refused faster."""
        if not self._held:
            self._held = True
            self._loop.call_later(PAUSE_WHEN_REFUSED_S, self._release)

    def _release(self) -> None:
        self._held = False
        self.fed()

    def fed(self) -> None:
        if not self._tally.plan.rate:
            self.fill()

    def lost(self, code: int) -> None:
        if self._pending:
            self._tally.complaints.add(f"{self.user} was closed with {code} while {len(self._pending)} gifts waited.")
