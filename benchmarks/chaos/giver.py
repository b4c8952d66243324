"""Senders that never lose a gift: each is asked for again, at any node, until it is known what became of it."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from gifting.errors import GiftingError, KeyExpired
from gifting.load.plan import Target
from gifting.load.sender import Reply, decode_reply
from gifting.load.socket import Socket, masked
from gifting.model.money import make_key, parse_key
from gifting.wire.codec import BINARY, MSGPACK

AGAIN_S: Final = 0.15
"""Pause before a gift is asked for again, and between two tries to connect."""

SILENCE_S: Final = 6.0
"""A node that has not answered for so long is left for another: longer than it may wait for its ledger."""

OPEN_S: Final = 2.0
WAITING_MAX: Final = 200
"""Gifts of a sender that have no answer yet; no more are given meanwhile."""

GIFT: Final = "spark"


@dataclass(slots=True)
class Gift:
    """One gift, from when it was first sent; ``number`` counts its sender's, times are monotonic seconds."""

    key: str
    user: str
    room: str
    number: int
    connection: int
    sent: float
    times: int = 1
    asked: bool = False
    """What became of it is asked, as its key has got too old to be sent again."""
    accepted: float = 0.0
    """When it was acked; 0: it was not."""
    seq: int = 0
    """0: it was acked as pending, or not."""
    refused: str = ""

    @property
    def id(self) -> bytes:
        return parse_key(self.key)

    @property
    def open(self) -> bool:
        return not self.accepted and not self.refused


class Giver(Socket):
    """One sender, at one node after another. ``clock``: monotonic seconds between two gifts, about."""

    def __init__(self, user: str, rooms: Sequence[str], targets: Sequence[Target], pause: float, seed: int) -> None:
        super().__init__(asyncio.get_running_loop())
        self.user = user
        self.gifts: list[Gift] = []
        self.complaints: list[str] = []
        self.told: Callable[[Gift], None] = lambda gift: None
        self._rooms, self._targets, self._pause = rooms, targets, pause
        self._random = random.Random(seed)
        self._waiting: dict[int, Gift] = {}
        self._later: set[asyncio.TimerHandle] = set()
        self._number = self._connections = 0
        self._heard = 0.0

    @property
    def waiting(self) -> list[Gift]:
        """Those of which nothing is known yet."""
        return [gift for gift in self.gifts[-20 * WAITING_MAX :] if gift.open]

    async def live(self, end: Callable[[], bool]) -> None:
        """Give until ``end``, then ask until everything is known."""
        try:
            while not end() or self.waiting:
                if not self.is_open or self._silent():
                    await self._come_back()
                elif not end() and len(self.waiting) < WAITING_MAX:
                    self._give()
                await asyncio.sleep(self._random.expovariate(1 / self._pause))
        finally:
            for timer in self._later:
                timer.cancel()
            self.close()

    def _silent(self) -> bool:
        return bool(self._waiting) and time.monotonic() - self._heard > SILENCE_S

    def _give(self) -> None:
        key = make_key(time.time_ns() // 1_000_000, os.urandom(10))
        room, number = self._random.choice(self._rooms), len(self.gifts)
        gift = Gift(key, self.user, room, number, self._connections, time.monotonic())
        self.gifts.append(gift)
        self._send(gift)

    def _send(self, gift: Gift) -> None:
        self._number = number = self._number + 1
        if not self._waiting:
            self._heard = time.monotonic()
        self._waiting[number] = gift
        fields: dict[str, Any] = {"op": "send_gift", "room": gift.room, "gift": GIFT, "key": gift.key}
        if gift.asked:
            fields = {"op": "gift_status", "key": gift.key}
        self.write(masked(BINARY, MSGPACK.encode(fields | {"id": number})))

    def _again(self, gift: Gift) -> None:
        """Over the connection there is; else whoever opens the next one does."""
        if gift.open and self.is_open and gift not in self._waiting.values():
            gift.times += 1
            self._send(gift)

    def message(self, data: bytes, start: int, end: int) -> None:
        reply = decode_reply(data[start:end])
        self._heard = time.monotonic()
        gift = self._waiting.pop(reply.re, None)
        if gift is None or not gift.open:
            return
        if reply.ok and reply.state in {"", "accepted"}:
            gift.accepted, gift.seq = time.monotonic(), reply.seq
            self.told(gift)
        elif reply.state == "open" or _may_ask_again(reply, gift):
            gift.asked = gift.asked and reply.state != "open"
            timer = self._loop.call_later(AGAIN_S, self._again, gift)
            self._later = {other for other in self._later if other.when() > self._loop.time()} | {timer}
        else:
            gift.refused = reply.error.code if reply.error else reply.state or "?"

    async def _come_back(self) -> None:
        """To any node; what has no answer is asked for there, in the order in which it was given."""
        self.close()
        self._waiting.clear()
        target = self._random.choice(self._targets)
        with suppress(OSError, GiftingError, TimeoutError):
            async with asyncio.timeout(OPEN_S):
                await self.open(target, target.token(self.user))
        self._connections += 1
        if not self.is_open:
            return
        for gift in self.waiting:
            self._again(gift)


def _may_ask_again(reply: Reply, gift: Gift) -> bool:
    error = reply.error
    if error is None:
        return False
    if error.code == KeyExpired.code and gift.times > 1 and not gift.asked:
        gift.asked = True
        return True
    return error.temporary
