"""What a gift costs a redis-server in instructions: by ``commit``, and by ``debit`` and ``credit`` as on a cluster.

    python -m benchmarks.calls [--sizes 1 64 512] [--partitions 1] [--functions 0] [--save FILE] [--against FILE]

A server under callgrind is sent the same calls in each run, one after the other, so that neither neighbours nor clocks
change the count. It is of what the server does for them in user space: the protocol and the append-only file are in it;
its timers, the kernel (fsync, sockets), and what only replicas cost (their stream, ``WAIT``) are not. Each debit
completes the results of the call before it, as on a cluster at full load. Needs valgrind.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from rich.console import Console
from rich.table import Table

from benchmarks.callgrind import READY_WITHIN, Server
from gifting.config import load
from gifting.ledger.cluster.credit_call import Blob, CreditCalls, credit_options, read_blob, read_credit
from gifting.ledger.cluster.debit_call import (
    NOTHING_RIDES,
    Asked,
    DebitCalls,
    Riding,
    asked_room,
    debit_options,
    read_debit,
)
from gifting.ledger.cluster.owed import completions
from gifting.ledger.commit import OK, PendingCommit, RawReply, read_replies
from gifting.ledger.commit_call import CommitCalls, commit_options
from gifting.ledger.commit_keys import Spot, room_spot
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.money import make_key
from gifting.model.values import Done, RoomRef, Sender

SENDERS: Final = 200
ROOMS: Final = 8
"""Of each partition of hosts."""

COUNTED: Final = {1: 200, 64: 16, 512: 6}
"""Calls of a size that are counted; as many go before them, so that tables have grown and scripts are known."""

START: Final = 1_764_000_000_000
WAYS: Final = ("commit", "debit", "credit")


class Books:
    """The rooms, the senders, and gifts of these as a ledger queues them: all of one partition's senders."""

    def __init__(self, url: str, partitions: int, apart: bool) -> None:
        self.settings = load({"partitions": partitions + 1, "ledger_timeout": READY_WITHIN}, environ={})
        self._ledger = Ledger(url, self.settings, load_catalog(), self.now)
        self._ledger.keys.apart = apart
        self._ledger.gifts._batcher = self  # type: ignore[assignment]
        self.bases = self._ledger.keys.bases
        self._clock = START
        self._made = 0
        self._queued: list[PendingCommit] = []
        self._rooms: list[RoomRef] = []
        self._senders: list[Sender] = []
        self._said: dict[Spot, bytes] = {}

    @classmethod
    async def make(cls, url: str, partitions: int, apart: bool) -> Self:
        """With coins, and rooms which know their epochs if partitions are ``apart``."""
        made = cls(url, partitions, apart)
        await made._fill()
        return made

    async def _fill(self) -> None:
        ledger = self._ledger
        await ledger.start()
        try:
            for base in self.bases[1:]:
                for host in self._names("host", base, ROOMS):
                    self._add(await ledger.rooms.open(f"room-{host}", host, "Host", ""))
            for user in self._names("user", self.bases[0], SENDERS):
                await ledger.wallets.grant(user, 10**9, self._key(), "bench", "bench")
                self._senders.append(ledger.gifts.sender(user, _public(user)))
            for base in self.bases:
                await ledger.redis.hset(f"{base}:line", "born", "1")
        finally:
            await ledger.stop()

    def _add(self, room: RoomRef) -> None:
        self._rooms.append(room)
        self._said[room_spot(room.base, room.id, room.host)] = asked_room(
            b"live", room.host.encode(), None, b"0", b"0", None
        )

    def asked(self, count: int) -> list[Asked]:
        """:meth:`gifts`, with what is known of their rooms."""
        return [Asked(item, self._said[item.room]) for item in self.gifts(count)]

    def _names(self, kind: str, base: str, count: int) -> Iterator[str]:
        """So many that are in this partition."""
        names = (f"{kind}-{number}" for number in itertools.count())
        return itertools.islice((name for name in names if self._ledger.keys.base(name) == base), count)

    def now(self) -> str:
        return str(self._clock)

    def _key(self) -> str:
        self._made += 1
        return make_key(self._clock, self._made.to_bytes(10, "big"))

    def submit(
        self, kind: int, sender: Spot, room: Spot, target: bytes, fields: bytes, done: Done, terms: bytes
    ) -> None:
        """As a batcher."""
        self._queued.append(PendingCommit(kind, sender, room, target, fields, done, 0.0, terms=terms))

    def gifts(self, count: int) -> list[PendingCommit]:
        """So many, a moment later."""
        self._clock += 1
        for number in range(count):
            made = self._made + number
            sender, room = self._senders[made % SENDERS], self._rooms[made * 7 % len(self._rooms)]
            self._ledger.gifts.submit(sender, room, "spark", self._key(), 1, None, print)
        queued, self._queued = self._queued, []
        return queued


def _public(user: str) -> dict[str, Any]:
    """Lua tells strings apart by some of their bytes, so names and pictures differ as those of people do."""
    told = sha256(user.encode()).hexdigest()
    return {"id": user, "name": told[:12], "picture": f"https://example.org/{told[12:36]}.png", "level": 12}


class Calls:
    """Calls of one size, by each way."""

    def __init__(self, server: Server, books: Books, size: int) -> None:
        self._server, self._books, self._size = server, books, size
        settings, bases = books.settings, books.bases
        numbers = {base: number for number, base in enumerate(bases)}
        self._commits = CommitCalls(f"{bases[0]}:chain", commit_options(settings, 0), books.now)
        self._debits = DebitCalls(bases[0], numbers, debit_options(settings, 0, 0), books.now)
        self._credits = [CreditCalls(base, credit_options(settings, 0), books.now) for base in bases]
        self._commits.load_script()
        self._debits.load_script()
        for calls in self._credits:
            calls.load_script()
        self._riding: deque[Riding] = deque()
        self._parcels: dict[int, list[list[Blob]]] = {}

    def commit(self, count: int) -> None:
        for _ in range(count):
            items = self._books.gifts(self._size)
            reply = self._server.call(self._commits.pack(items, link=False, beside=False))
            _require_taken(read_replies(reply, self._size))

    def debit(self, count: int) -> None:
        """As many calls; each brings the results of one that was credited before, if there is one."""
        for _ in range(count):
            batch = self._books.asked(self._size)
            riding = self._riding.popleft() if self._riding else NOTHING_RIDES
            said = read_debit(self._server.call(self._debits.pack(batch, riding)), self._size)
            _require_taken(said.replies)
            for number, packed in said.blobs:
                parcels = self._parcels.setdefault(number, [])
                if not parcels or len(parcels[-1]) == len(said.blobs):
                    parcels.append([])
                parcels[-1].append(read_blob(packed))

    def credit(self, _: int) -> None:
        """What was debited: a call has as many blobs as a debit has, as where each partition has senders and hosts."""
        parcels, self._parcels = self._parcels, {}
        for number, calls in parcels.items():
            for blobs in calls:
                told = read_credit(self._server.call(self._credits[number].pack(blobs)), len(blobs)).told
                for blob, of_blob in zip(blobs, told, strict=True):
                    assert of_blob.results
                    done = completions(self._books.bases[0], blob, of_blob.results)
                    self._riding.append(Riding({number: of_blob.epoch}, completions=done))


def _require_taken(replies: Sequence[RawReply]) -> None:
    for _, status, *_ in replies:
        if status != OK:
            raise RuntimeError(f"A gift was refused: {status}.")


class Count(NamedTuple):
    """Instructions per gift, and these by function, most first."""

    gift: float
    functions: list[tuple[str, float]]


def count_calls(size: int, partitions: int) -> dict[str, Count]:
    """By each way."""
    return dict(_count_one(size, partitions)) | dict(_count_two(size, partitions))


def _count_one(size: int, partitions: int) -> Iterator[tuple[str, Count]]:
    with _calls(size, partitions, apart=False) as (server, calls, times):
        calls.commit(times)
        yield "commit", _count(server, calls.commit, times, size)


def _count_two(size: int, partitions: int) -> Iterator[tuple[str, Count]]:
    with _calls(size, partitions, apart=True) as (server, calls, times):
        calls.debit(times)
        calls.credit(times)
        yield "debit", _count(server, calls.debit, times, size)
        yield "credit", _count(server, calls.credit, times, size)


@contextmanager
def _calls(size: int, partitions: int, *, apart: bool) -> Iterator[tuple[Server, Calls, int]]:
    """A server of their own, and how many of them to make."""
    with tempfile.TemporaryDirectory(prefix="gifting-calls-") as folder, Server(Path(folder)) as server:
        books = asyncio.run(Books.make(f"unix://{server.path}", partitions, apart))
        yield server, Calls(server, books, size), COUNTED.get(size) or max(4, 400 // size)


def _count(server: Server, make: Callable[[int], None], calls: int, size: int) -> Count:
    functions = [(name, count / calls / size) for name, count in server.count(lambda: make(calls))]
    return Count(sum(count for _, count in functions), functions)


def table(found: Mapping[str, Mapping[str, Count]], before: Mapping[str, Mapping[str, Any]]) -> Table:
    """Instructions per gift, and of both calls beside ``commit``."""
    made = Table(box=None, padding=(0, 1))
    for title in ("gifts in a call", *WAYS, "debit + credit / commit"):
        made.add_column(title, justify="right")
    for size, counts in found.items():
        both = (counts["debit"].gift + counts["credit"].gift) / counts["commit"].gift
        made.add_row(size, *(_told(counts[way], before.get(size, {}).get(way)) for way in WAYS), f"{both:.2f}")
    return made


def _told(count: Count, before: Sequence[Any] | None) -> str:
    change = f" ({count.gift / before[0] - 1:+.1%})" if before else ""
    return f"{count.gift:,.0f}{change}"


def functions(counts: Mapping[str, Count], most: int) -> Table:
    """Where they go."""
    made = Table(box=None, padding=(0, 1))
    names = {name: None for way in WAYS for name, _ in counts[way].functions[:most]}
    for title in ("", *WAYS):
        made.add_column(title, justify="right" if title else "left")
    for name in names:
        made.add_row(name, *(f"{dict(counts[way].functions).get(name, 0):,.0f}" for way in WAYS))
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description="Instructions of Redis per gift.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[*COUNTED], help="Gifts in a call.")
    parser.add_argument("--partitions", type=int, default=1, help="Of hosts, to which a call's gifts go.")
    parser.add_argument("--functions", type=int, default=0, help="So many functions with the most instructions.")
    parser.add_argument("--save", default="", help="Keep the counts in this file.")
    parser.add_argument("--against", default="", help="Compare with this file.")
    given = parser.parse_args(arguments)
    before = json.loads(Path(given.against).read_text()) if given.against else {}
    found = {str(size): count_calls(size, given.partitions) for size in given.sizes}
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table(found, before))
    for size, counts in found.items() if given.functions else ():
        console.print(f"\n{size} in a call, by function:", functions(counts, given.functions))
    if given.save:
        Path(given.save).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
