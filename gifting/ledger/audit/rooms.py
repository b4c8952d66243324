"""Rooms: their totals, rankings and logs against the books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from gifting.ledger.audit import about
from gifting.ledger.audit.cut import Cut, RoomState
from gifting.ledger.audit.log import LogAudit
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.room_book import RoomBook
from gifting.ledger.audit.values import scores
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys
from gifting.model.pseudonym import Unmasked

Complete = Callable[[str, str, RoomState, RoomBook], Awaitable[None]]
"""Gives the book of a room, by its key and its id, what it lacks."""

PAGE: Final = 50
"""Log items read at a time; each holds the events of a whole call."""


async def audit_rooms(
    redis: BinaryRedis,
    keys: Keys,
    cut: Cut,
    books: dict[str, RoomBook],
    findings: Findings,
    complete: Complete | None = None,
) -> None:
    """All rooms of the cut. One that was opened while the cut was being prepared is in the directory only."""
    for room in books.keys() - (cut.directory.keys() - cut.missing):
        findings.found("room_missing", f"{room} has credits, but is not there.", about.room(room))
    for room, state in cut.rooms.items():
        findings.rooms += 1
        book = books.get(room) or RoomBook(state.host)
        key = keys.room(cut.directory.get(room, state.host), room)
        if complete is not None:
            await complete(key, room, state, book)
        senders = Unmasked(cut.salt, room, book.ranked)
        _check_totals(room, state, book, findings)
        await _check_ranking(redis, key, state, book, senders, findings)
        await _read_log(redis, key, state, LogAudit(room, state, book, senders, findings, late=keys.apart))


def _check_totals(room: str, state: RoomState, book: RoomBook, findings: Findings) -> None:
    if book.host != state.host:
        sentence = f"{room} is of {state.host}, its credits went to {book.host}."
        findings.found("wrong_host", sentence, about.room(room))
    for name, credited, kept in (
        ("coins", book.coins, state.coins),
        ("diamonds", book.diamonds, state.diamonds),
    ):
        if credited != kept:
            sentence = f"{room} has {kept} {name}, credited were {credited}."
            findings.found("room_totals_differ", sentence, about.room(room))


async def _check_ranking(
    redis: BinaryRedis, key: str, state: RoomState, book: RoomBook, senders: Unmasked, findings: Findings
) -> None:
    """A user may be there twice, once under a pseudonym: what counts is both together."""
    top = state.top
    if top is None:
        top = scores(await redis.zrange(f"{key}/top", 0, -1, withscores=True))
    if top or state.live:
        room = key.rpartition(":room:")[2]
        ranked: Counter[str] = Counter()
        for shown, coins in top.items():
            ranked[senders.real(shown)] += coins
        findings.differ("ranking_differs", f"coins in {room}", book.ranked, ranked, partial(about.rank, room))


async def _read_log(redis: BinaryRedis, key: str, state: RoomState, log: LogAudit) -> None:
    last = f"{state.seq}-{2**64 - 1}"
    start = "-"
    while page := await redis.xrange(f"{key}/log", min=start, max=last, count=PAGE):
        for item_id, fields in page:
            end, _, count = item_id.decode().partition("-")
            first = int(end) - int(count) + 1
            if not log.next or (first != log.next and await _first_id(redis, key) == item_id):
                log.begin(first)
                log.next = first
            log.item(first, int(end), fields)
        start = f"({page[-1][0].decode()}"
    if log.next == state.seq + 1 or not await _gone(redis, key, state):
        log.next = log.next or 1
        log.close()


async def _gone(redis: BinaryRedis, key: str, state: RoomState) -> bool:
    """Whether the rest of the log was trimmed or has expired since."""
    first: Any = await _first_id(redis, key)
    if first is None:
        return not state.live
    return int(first.partition(b"-")[0]) > state.seq


async def _first_id(redis: BinaryRedis, key: str) -> bytes | None:
    """The log's oldest item now: trimming goes on while it is read."""
    found = await redis.xrange(f"{key}/log", count=1)
    return bytes(found[0][0]) if found else None
