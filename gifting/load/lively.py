"""Lively senders: they give as people do, in streaks with free events in between, and who don't lose a gift.

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
from gifting.load.group import SenderGroup
from gifting.load.mix import Mix
from gifting.load.plan import Begin
from gifting.load.sender import Reply, Sender, SenderTally, decode_reply
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
"""Gifts/s of one sender at tempo 1, about: 6.5 gifts in a burst, a second apart, and the rest."""

TEMPO_MAX: Final = 100.0
WAITING_MAX: Final = 1000
"""Gifts one sender may have without a reply; more are counted as unsent."""

AGAIN_AFTER_S: Final = 0.2
"""Pause before a gift is asked for again, and between two tries to connect."""

TEXT_LENGTH: Final = 150
"""Characters of a gift's message: events of some size, so that a reader that stops is soon behind."""


@dataclass(slots=True)
class PendingGift:
    """A gift on its way: its message without an id, what it costs, when it was due (monotonic ns)."""

    fields: dict[str, Any]
    price: int
    due: int
    times_sent: int = 0
    in_doubt: bool = False
    """The ledger is asked what became of it."""


class LivelySender(Sender):
    """One connection of a sender who gives as people do."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tally: SenderTally, user: str, room: str, tempo: float) -> None:
        super().__init__(loop, tally, user, room)
        self._rng = random.Random()  # noqa: S311
        self._mix = Mix(load_catalog(), self._rng)
        self._tempo = tempo
        self._gifts: dict[int, PendingGift] = {}
        self._free: set[int] = set()
        self._returning: asyncio.Task[None] | None = None

    async def live(self) -> None:
        """Give until the load is over."""
        await self._pause(self._rng.uniform(0, REST_S))
        while self._tally.open:
            burst = self._mix.streak()
            for gap in burst.gaps:
                if self._tally.open:
                    self._give(burst.gift)
                    await self._pause(gap)
            for _ in range(self._rng.randint(0, FREE_MAX)):
                self._express()
                await self._pause(self._mix.gap())
            await self._pause(self._rng.expovariate(1 / REST_S))

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._tempo)

    def _give(self, gift: Gift) -> None:
        if len(self._gifts) >= WAITING_MAX:
            self._tally.unsent += 1
            return
        text = (self._mix.comment() + " ") * 8
        fields = {
            "op": "send_gift",
            "room": self.room,
            "gift": gift.id,
            "key": make_key(time.time_ns() // 1_000_000, os.urandom(10)),
            "message": text[:TEXT_LENGTH],
        }
        self._tally.issued += 1
        self._send(PendingGift(fields, gift.coins, time.monotonic_ns()))

    def _send(self, gift: PendingGift) -> None:
        """Send a gift under an id of its own; while the connection is away it only waits."""
        number = self._next_id()
        self._gifts[number] = gift
        if self.is_open:
            self._tally.repeated += gift.times_sent > 0
            gift.times_sent += 1
            fields = {"op": "gift_status", "key": gift.fields["key"]} if gift.in_doubt else gift.fields
            self.write(masked(BINARY, MSGPACK.encode({**fields, "id": number})))

    def _next_id(self) -> int:
        self._id += 1
        return self._id

    def _express(self) -> None:
        """Something that costs nothing. It has no key, so it is not asked for again."""
        if not self.is_open:
            return
        number = self._next_id()
        kind = self._rng.choice(("like", "like", "comment", "share", "follow"))
        fields: dict[str, Any] = {"op": kind, "id": number, "room": self.room}
        if kind == "like":
            fields["count"] = self._rng.randint(1, min(15, MAX_COUNT))
        elif kind == "comment":
            fields["text"] = self._mix.comment()
        self._free.add(number)
        self.write(masked(BINARY, MSGPACK.encode(fields)))

    def message(self, data: bytes, start: int, end: int) -> None:
        reply, tally = decode_reply(data[start:end]), self._tally
        if reply.re in self._free:
            self._free.discard(reply.re)
            tally.free += reply.ok
            return
        gift = self._gifts.pop(reply.re, None)
        if gift is None:
            tally.complaints.add(f"{self.user} got a reply to message {reply.re}, which waits for none.")
            return
        if reply.confirm:
            gift.fields["confirm"] = reply.confirm
            self._send(gift)
            return
        if _is_open(reply, gift):
            self._gifts[reply.re] = gift
            self._loop.call_later(AGAIN_AFTER_S, self._send_again, reply.re)
            return
        if reply.ok and reply.state in {"", "accepted"}:
            key = parse_key(gift.fields["key"])
            tally.accept(self.user, self.room, reply, gift.due, gift.price, key)
            if reply.duplicate and gift.times_sent == 1 and not tally.plan.faults:
                tally.complaints.add(f"{self.user} sent a new key and was told it is a duplicate.")
        else:
            tally.refuse(reply)
        tally.answer()

    def _send_again(self, number: int) -> None:
        """Ask again with the same key, unless that has been done since."""
        gift = self._gifts.pop(number, None)
        if gift is not None:
            self._send(gift)

    def fed(self) -> None:
        """Replies make no room for more: a sender has a pace of its own."""

    def lost(self, code: int) -> None:
        self._free.clear()
        if (self._gifts or not self._tally.over) and (self._returning is None or self._returning.done()):
            self._returning = self._loop.create_task(self._return())

    async def _return(self) -> None:
        """Connect again, as long as that takes; what has no reply is asked for again."""
        while True:
            await self._reconnect()
            for number in tuple(self._gifts):
                self._send_again(number)
            if self.is_open:  # else one of them has found that the connection is gone again
                return

    async def _reconnect(self) -> None:
        target = self._tally.plan.target
        while not self.is_open:
            await asyncio.sleep(AGAIN_AFTER_S)
            with suppress(OSError, GiftingError):
                await self.open(target, target.token(self.user))


def _is_open(reply: Reply, gift: PendingGift) -> bool:
    """Whether a reply does not settle it, so that it is asked again: the same, or what became of it."""
    if reply.state == "open":
        gift.in_doubt = False
        return True
    if reply.ok or reply.error is None:
        return False
    if reply.error.code == KeyExpired.code and gift.times_sent > 1 and not gift.in_doubt:
        gift.in_doubt = True
        return True
    return reply.error.temporary


class LivelySenderGroup(SenderGroup):
    """The lively senders of this process."""

    def _sender(self, user: str, room: str) -> Sender:
        tempo = self.plan.rate / (self.plan.count * NATURAL_RATE)
        loop = asyncio.get_running_loop()
        return LivelySender(loop, self.tally, user, room, min(max(tempo, 1 / TEMPO_MAX), TEMPO_MAX))

    def _start(self, order: Begin) -> None:
        self.tally.open = True
        lively_senders = [sender for sender in self.senders if isinstance(sender, LivelySender)]
        self._lives = [asyncio.create_task(sender.live(), name=sender.user) for sender in lively_senders]
