"""Patrons: senders who give as people do, in streaks with free events in between, and who don't lose a gift.

A gift whose reply did not come, because the server went away or could not tell, is asked for again with the same key,
so every gift ends as accepted or refused. A key that is too old by the time it is asked for again says nothing of the
first time; what the ledger knows of it decides (op ``gift_status``).
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from gifting.errors import GiftingError, KeyExpired
from gifting.load.crew import SenderCrew
from gifting.load.mix import Mix
from gifting.load.plan import Begin
from gifting.load.sender import Desk, Reply, Sender, decode_reply
from gifting.load.socket import masked
from gifting.model.catalog import Gift, load_catalog
from gifting.model.money import make_key, parse_key
from gifting.wire.codec import BINARY, MSGPACK
from gifting.wire.messages import MAX_COUNT

REST_S: Final = 4.0
"""Mean pause after a burst: longer than a streak lives."""

FREE_MAX: Final = 3
"""Free events between two bursts at most."""

NATURAL_RATE: Final = 0.55
"""Gifts/s of one patron at tempo 1, about: 6.5 gifts in a burst, a second apart, and the rest."""

TEMPO_MAX: Final = 100.0
WAITING_MAX: Final = 1000
"""Gifts one patron may have without a reply; more are counted as unsent."""

AGAIN_AFTER_S: Final = 0.2
"""Pause before a gift is asked for again, and between two tries to connect."""

TEXT_LENGTH: Final = 150
"""Characters of a gift's message: events of some size, so that a reader that stops is soon behind."""


@dataclass(slots=True)
class Parcel:
    """A gift on its way: its message without an id, what it costs, when it was due (monotonic ns)."""

    fields: dict[str, Any]
    price: int
    due: int
    times_sent: int = 0
    in_doubt: bool = False
    """The ledger is asked what became of it."""


class Patron(Sender):
    """One connection of one patron."""

    def __init__(self, loop: asyncio.AbstractEventLoop, desk: Desk, user: str, room: str, tempo: float) -> None:
        super().__init__(loop, desk, user, room)
        self._dice = random.Random()  # noqa: S311
        self._mix = Mix(load_catalog(), self._dice)
        self._tempo = tempo
        self._parcels: dict[int, Parcel] = {}
        self._free: set[int] = set()
        self._returning: asyncio.Task[None] | None = None

    async def live(self) -> None:
        """Give until the desk closes."""
        await self._pause(self._dice.uniform(0, REST_S))
        while self._desk.open:
            burst = self._mix.streak()
            for gap in burst.gaps:
                if self._desk.open:
                    self._give(burst.gift)
                    await self._pause(gap)
            for _ in range(self._dice.randint(0, FREE_MAX)):
                self._express()
                await self._pause(self._mix.gap())
            await self._pause(self._dice.expovariate(1 / REST_S))

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._tempo)

    def _give(self, gift: Gift) -> None:
        if len(self._parcels) >= WAITING_MAX:
            self._desk.unsent += 1
            return
        text = (self._mix.comment() + " ") * 8
        fields = {
            "op": "send_gift",
            "room": self.room,
            "gift": gift.id,
            "key": make_key(time.time_ns() // 1_000_000, os.urandom(10)),
            "message": text[:TEXT_LENGTH],
        }
        self._desk.issued += 1
        self._send(Parcel(fields, gift.coins, time.monotonic_ns()))

    def _send(self, parcel: Parcel) -> None:
        """Send a gift under an id of its own; while the connection is away it only waits."""
        number = self._next_id()
        self._parcels[number] = parcel
        if self.is_open:
            self._desk.repeated += parcel.times_sent > 0
            parcel.times_sent += 1
            fields = {"op": "gift_status", "key": parcel.fields["key"]} if parcel.in_doubt else parcel.fields
            self.write(masked(BINARY, MSGPACK.encode({**fields, "id": number})))

    def _next_id(self) -> int:
        self._id += 1
        return self._id

    def _express(self) -> None:
        """Something that costs nothing. It has no key, so it is not asked for again."""
        if not self.is_open:
            return
        number = self._next_id()
        kind = self._dice.choice(("like", "like", "comment", "share", "follow"))
        fields: dict[str, Any] = {"op": kind, "id": number, "room": self.room}
        if kind == "like":
            fields["count"] = self._dice.randint(1, min(15, MAX_COUNT))
        elif kind == "comment":
            fields["text"] = self._mix.comment()
        self._free.add(number)
        self.write(masked(BINARY, MSGPACK.encode(fields)))

    def message(self, data: bytes, start: int, end: int) -> None:
        reply, desk = decode_reply(data[start:end]), self._desk
        if reply.re in self._free:
            self._free.discard(reply.re)
            desk.free += reply.ok
            return
        parcel = self._parcels.pop(reply.re, None)
        if parcel is None:
            desk.complaints.add(f"{self.user} got a reply to message {reply.re}, which waits for none.")
            return
        if _is_open(reply, parcel):
            self._parcels[reply.re] = parcel
            self._loop.call_later(AGAIN_AFTER_S, self._send_again, reply.re)
            return
        if reply.ok and reply.state in {"", "accepted"}:
            key = parse_key(parcel.fields["key"])
            desk.accept(self.user, self.room, reply, parcel.due, parcel.price, key)
            if reply.duplicate and parcel.times_sent == 1 and not desk.plan.faults:
                desk.complaints.add(f"{self.user} sent a new key and was told it is a duplicate.")
        else:
            desk.refuse(reply)
        desk.answer()

    def _send_again(self, number: int) -> None:
        """Ask again with the same key, unless that has been done since."""
        parcel = self._parcels.pop(number, None)
        if parcel is not None:
            self._send(parcel)

    def fed(self) -> None:
        """Replies make no room for more: a patron has a pace of its own."""

    def lost(self, code: int) -> None:
        self._free.clear()
        if (self._desk.open or self._parcels) and (self._returning is None or self._returning.done()):
            self._returning = self._loop.create_task(self._return())

    async def _return(self) -> None:
        """Connect again, as long as that takes; what has no reply is asked for again."""
        while True:
            await self._reconnect()
            for number in tuple(self._parcels):
                self._send_again(number)
            if self.is_open:  # else one of them has found that the connection is gone again
                return

    async def _reconnect(self) -> None:
        target = self._desk.plan.target
        while not self.is_open:
            await asyncio.sleep(AGAIN_AFTER_S)
            with suppress(OSError, GiftingError):
                await self.open(target, target.token(self.user))


def _is_open(reply: Reply, parcel: Parcel) -> bool:
    """Whether a reply does not settle it, so that it is asked again: the same, or what became of it."""
    if reply.state == "open":
        parcel.in_doubt = False
        return True
    if reply.ok or reply.error is None:
        return False
    if reply.error.code == KeyExpired.code and parcel.times_sent > 1 and not parcel.in_doubt:
        parcel.in_doubt = True
        return True
    return reply.error.temporary


class PatronCrew(SenderCrew):
    """The patrons of this process."""

    def _sender(self, user: str, room: str) -> Sender:
        tempo = self.plan.rate / (self.plan.count * NATURAL_RATE)
        loop = asyncio.get_running_loop()
        return Patron(loop, self.desk, user, room, min(max(tempo, 1 / TEMPO_MAX), TEMPO_MAX))

    def _start(self, order: Begin) -> None:
        self.desk.open = True
        patrons = [sender for sender in self.senders if isinstance(sender, Patron)]
        self._lives = [asyncio.create_task(patron.live(), name=patron.user) for patron in patrons]
