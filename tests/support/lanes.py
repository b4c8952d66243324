"""Lanes of a cluster's gifts without a cluster: calls are seen as they are sent, and answered by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

import msgpack

from gifting.ledger.cluster.credit_call import Credited, Told
from gifting.ledger.cluster.debit_call import NOTHING_DECIDED, Asked
from gifting.ledger.cluster.link import Call
from gifting.ledger.cluster.way import Way
from gifting.ledger.commit import GIFT, PendingCommit
from gifting.ledger.commit_keys import bucket_spot, room_spot
from gifting.ledger.counts import Counts
from gifting.ledger.keys import Keys
from gifting.ledger.status import Status
from gifting.model.packing import pack

KEYS = Keys("gifting", 4)
SOURCE = KEYS.bases[0]
TIMEOUT = 10.0

Reply = tuple[int, int, int, int, int, int]
"""As :class:`gifting.ledger.commit.Reply` has it."""

FRESH: Reply = (0, 0, 0, 50, 0, 0)
PENDING: Reply = (1, 0, 0, 50, 0, 0)
KNOWN: Reply = (1, 0, 7, 50, 2, 6)
POOR: Reply = (0, int(Status.INSUFFICIENT_COINS), 0, 50, 0, 0)


class Gifts:
    """Gifts as they are queued, and what each was told, by the number of its key."""

    def __init__(self) -> None:
        self.told: dict[int, Any] = {}
        self._made = 0

    def gift(self, user: str = "ann", to: int = 1, age: float = 0.0, sent: bool = False) -> PendingCommit:
        """To a room of partition ``to``, which has waited for ``age`` seconds."""
        self._made += 1
        number, host = self._made, f"host{to}"
        fields = pack((user, number.to_bytes(16, "big")))[1:]
        sender, room = bucket_spot(SOURCE, 1), room_spot(KEYS.bases[to], "r", host)

        def done(outcome: Any) -> None:
            assert number not in self.told, "told twice"
            self.told[number] = outcome

        return PendingCommit(GIFT, sender, room, b"", fields, done, monotonic() - age, sent)

    def gifts(self, count: int, **more: Any) -> list[PendingCommit]:
        return [self.gift(**more) for _ in range(count)]


class Wire:
    """The calls of lanes, in the order in which they were sent; of rooms everything is known but for ``unasked``."""

    def __init__(self, batch_max: int = 100, gifts_max: int = 1000, timeout: float = TIMEOUT) -> None:
        self.calls: list[Call] = []
        self.unasked: set[str] = set()
        self.looked: list[bool] = []
        self.late: list[int] = []
        self.why: list[str] = []
        self.settled = 0
        self.counts = Counts()
        self.way = Way(
            links=self,  # type: ignore[arg-type]
            rooms=self,  # type: ignore[arg-type]
            counts=self.counts,
            batch_max=batch_max,
            timeout=timeout,
            halted=self.why.append,
            settled=self._settle,
            gifts_max=gifts_max,
            late=self,  # type: ignore[arg-type]
        )

    def _settle(self) -> None:
        self.settled += 1

    def send(self, call: Call) -> None:
        self.calls.append(call)

    def look(self, item: PendingCommit, *, at_any_age: bool = False) -> Asked | None:
        self.looked.append(at_any_age)
        return None if item.room.base in self.unasked else Asked(item, b"room %d" % len(self.looked), NOTHING_DECIDED)

    def tell(self, item: PendingCommit, coins: int, errands: Any) -> None:
        """As :meth:`gifting.ledger.cluster.late.Late.tell`."""
        self.late.append(coins)

    async def sent(self) -> list[Call]:
        """All calls, once those of this pass of the loop are among them."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.calls

    async def call(self) -> Call:
        """The one that was sent last."""
        return (await self.sent())[-1]


def blob_of(seq: int, to: int = 1, epoch: int = 5, source: int = 0) -> bytes:
    """What a call of ``debit`` owes to partition ``to``."""
    return bytes(msgpack.packb([source, seq, [[epoch, 0]], [["r", f"host{to}"]], b"", b""]))


def debited(replies: Sequence[Reply], blobs: Iterable[tuple[int, bytes]] = (), item: bytes = b"1-1") -> list[Any]:
    """What Redis says of a call of ``debit``."""
    return [pack(replies), item, 5, *(part for blob in blobs for part in blob)]


def credited(*told: Told, parked: Sequence[tuple[int, int, list[int]]] = ()) -> bytes:
    """What Redis says of a call of ``credit``."""
    return pack(Credited(list(told), list(parked)))  # type: ignore[arg-type]
