"""Gifts in two calls, as on a cluster: between any partitions of one Redis, or of several, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from hiredis import Reader
from redis.asyncio import Redis

from gifting.ledger import scripts
from gifting.ledger.cluster.credit_call import Blob, CreditCalls, Credited, read_blob, read_credit
from gifting.ledger.cluster.debit_call import (
    Asked,
    DebitCalls,
    Debited,
    Riding,
    asked_person,
    asked_room,
    read_debit,
)
from gifting.ledger.commit import PendingCommit
from gifting.ledger.commit_keys import Spot
from gifting.ledger.keys import people_key, room_keys
from gifting.model.packing import pack, unpack_raw
from gifting.model.terms import UNBOUND
from gifting.model.values import Done, RoomRef
from tests.support.world import LEAD, STREAK, WINDOW, World

RATE = (500, 1)


async def run(redis: Redis, call: bytes) -> Any:
    """A call as it goes on the wire, over a client of redis-py; with the script's text where Redis lacks it."""
    reader = Reader()
    reader.feed(call)
    words = reader.gets()
    if isinstance(words, list) and words[0] == b"EVALSHA" and not (await redis.script_exists(words[1].decode()))[0]:
        for name in ("debit", "credit"):
            await redis.script_load(scripts.source(name, cluster=True))
    return await redis.execute_command(*words)


def gift_item(
    world: World, user: str, room: RoomRef, gift: str = "spark", count: int = 1, **more: Any
) -> PendingCommit:
    """A gift as the ledger queues it."""
    taken: list[PendingCommit] = []

    class Queue:
        def submit(
            self, kind: int, sender: Spot, room: Spot, target: bytes, fields: bytes, done: Done, terms: bytes
        ) -> None:
            taken.append(PendingCommit(kind, sender, room, target, fields, done, 0.0, terms=terms))

    gifts = copy(world.ledger.gifts)
    gifts._batcher = Queue()  # type: ignore[assignment]
    sender = more.get("sender") or world.sender(user, more.get("terms", UNBOUND))
    key = more.get("key") or world.key()
    gifts.submit(sender, room, gift, key, count, more.get("message"), print, more.get("confirmed", False))
    return taken[0]


class Halves:
    """What sends gifts from partition to partition; ``of`` gives the Redis in which the keys of a base are."""

    def __init__(
        self, of: Callable[[str], Redis], bases: Sequence[str], clock: list[int], commission: int = 0, keep: int = 1000
    ) -> None:
        self.of, self.bases, self.clock = of, list(bases), clock
        numbers = {base: number for number, base in enumerate(bases)}
        self.numbers = numbers
        options = (WINDOW, LEAD, STREAK, *RATE, commission)
        self.debits = {
            base: DebitCalls(base, numbers, pack((*options, number)), self._now) for base, number in numbers.items()
        }
        self.credits = {base: CreditCalls(base, pack((STREAK, *RATE, keep, commission)), self._now) for base in bases}

    def _now(self) -> str:
        return str(self.clock[0])

    async def bear(self) -> None:
        for base in self.bases:
            await self.of(base).hset(f"{base}:line", "born", 1)

    async def asked(self, item: PendingCommit) -> Asked:
        """The item as its room and host are asked now."""
        base = item.room.base
        room, host, *_ = unpack_raw(b"\x95" + (item.target or b""))
        user, *_, shown = unpack_raw(b"\x9a" + item.fields)
        redis: Any = self.of(base)
        of_room = await redis.hmget(room_keys(base, room.decode())[0], ["state", "host", "rules", "coins"])
        of_host = await redis.hmget(f"{base}:diamonds", [host, host + b"/bps"])
        people = people_key(base, host.decode())
        decided = await redis.hmget(people, [user, b"~" + user])
        person = asked_person(decided[0], decided[1] if shown else None)
        return Asked(item, asked_room(*of_room, *of_host), person)

    async def debit(self, base: str, *items: PendingCommit, riding: Riding | None = None) -> Debited:
        batch = [await self.asked(item) for item in items]
        call = self.debits[base].pack(batch, *filter(None, (riding,)))
        return read_debit(await run(self.of(base), call), len(items))

    async def credit(self, number: int, *blobs: bytes | Blob) -> Credited:
        base = self.bases[number]
        given = [read_blob(blob) if isinstance(blob, bytes) else blob for blob in blobs]
        return read_credit(await run(self.of(base), self.credits[base].pack(given)), len(given))
