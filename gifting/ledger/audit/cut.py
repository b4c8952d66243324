"""The consistent cut: all balances at one moment, and where each stream ended then."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgpack

from gifting.ledger.account import read_account
from gifting.ledger.audit import about
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.report import Findings
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.days import EARNED, FIELD
from gifting.ledger.entry_parser import UNREADABLE
from gifting.ledger.keys import Keys
from gifting.model.pseudonym import SALT_SIZE

PAGE: Final = 500
"""Rooms looked up at a time."""

_NUMBER: Final = re.compile(rb"-?\d{1,20}")

MARK: Final = b"redo\n"
"""What marks of what broke off begin with (``lua/include/redo.lua``); no user's id does."""

_DEBT: Final = b"/debt"

_COUNTED: Final = (b"seq", b"coins", b"diamonds", b"likes")


class OpenStreak(NamedTuple):
    gifts: int
    coins: int


@dataclass(slots=True)
class RoomState:
    """A room as Redis has it. ``top`` and ``streaks`` (by the streak's first seq) are None if it had ended before."""

    host: str
    live: bool
    started: int
    seq: int
    coins: int
    diamonds: int
    likes: int
    top: dict[str, int] | None = None
    streaks: dict[int, OpenStreak] | None = None


class Stream(NamedTuple):
    """Items that were ever added to a ledger stream, and the last that was deleted by its id."""

    added: int
    deleted: str


@dataclass(slots=True)
class Cut:
    """``ledger_ends``, ``streams`` and ``days_since`` (the first day of which all earnings are kept, if that is known)
    are by partition, ``directory`` room → host; ``missing`` are its rooms that are nowhere else.
    """

    meta: dict[str, str] = field(default_factory=dict)
    balances: Balances = field(default_factory=Balances)
    ledger_ends: dict[str, str] = field(default_factory=dict)
    days_since: dict[str, int] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    directory: dict[str, str] = field(default_factory=dict)
    rooms: dict[str, RoomState] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    @property
    def salt(self) -> bytes:
        """Of pseudonyms; b'' where there is none that can be one, and then nobody is known by them."""
        try:
            return bytes.fromhex(self.meta.get("salt", ""))[:SALT_SIZE]
        except ValueError:
            return b""


async def take_cut(redis: BinaryRedis, keys: Keys, findings: Findings) -> Cut:
    """An ended room never changes again, so its state is read before; all else is read in one transaction."""
    reader = _Reader(keys, findings)
    others = await _read_ended(redis, keys, reader)
    pipe = redis.pipeline(transaction=True)
    pipe.hgetall(keys.meta)
    for base in keys.bases:
        for part in ("coins", "diamonds", "carry", "totals", "directory"):
            pipe.hgetall(f"{base}:{part}")
        pipe.hmget(f"{base}:floors", FIELD, EARNED).xrevrange(f"{base}:ledger", count=1)
        pipe.xinfo_stream(f"{base}:ledger")
    for room, host in others:
        key = keys.room(host, room)
        pipe.hgetall(key).zrange(f"{key}/top", 0, -1, withscores=True).hgetall(f"{key}/streaks")
    replies = iter(await _all(pipe))
    reader.cut.meta = {text(name): text(value) for name, value in next(replies).items()}
    for base in keys.bases:
        reader.partition(base, *(next(replies) for _ in range(7)))
        reader.cut.streams[base] = _stream(next(replies))
    for room, _ in others:
        reader.live_room(room, next(replies), next(replies), next(replies))
    return reader.cut


async def _all(pipe: Any) -> list[Any]:
    """The replies of a transaction, in which a stream may be missing."""
    replies: list[Any] = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and "no such key" not in str(reply):
            raise reply
    return replies


def _stream(info: Any) -> Stream:
    if isinstance(info, Exception):
        return Stream(0, "0-0")
    return Stream(info["entries-added"], text(info["max-deleted-entry-id"]))


async def _read_ended(redis: BinaryRedis, keys: Keys, reader: _Reader) -> list[tuple[str, str]]:
    """Read the ended rooms; returns all others and their hosts."""
    names: list[tuple[str, str]] = []
    for base in keys.bases:
        found = await redis.hgetall(f"{base}:directory")
        names += ((text(room), text(host)) for room, host in found.items())
    others = []
    for at in range(0, len(names), PAGE):
        page = names[at : at + PAGE]
        pipe = redis.pipeline(transaction=False)
        for room, host in page:
            pipe.hgetall(keys.room(host, room))
        for (room, host), state in zip(page, await pipe.execute(), strict=True):
            if state.get(b"state") == b"ended":
                reader.room(room, state)
            else:
                others.append((room, host))
    return others


def _unmarked(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Without marks."""
    return {name: value for name, value in found.items() if not name.startswith(MARK)}


class _Reader:
    """Makes a cut of Redis' replies, and names what in them is no number or out of place."""

    def __init__(self, keys: Keys, findings: Findings) -> None:
        self._keys = keys
        self._findings = findings
        self.cut = Cut()

    def partition(
        self, base: str, coins: Any, diamonds: Any, carry: Any, totals: Any, directory: Any, since: Any, last: Any
    ) -> None:
        cut, kept = self.cut, self.cut.balances
        self._add_accounts(base, _unmarked(coins))
        own = _unmarked(diamonds)
        owed = {name.removesuffix(_DEBT): value for name, value in own.items() if name.endswith(_DEBT)}
        self._add(kept.diamonds, base, "diamonds", {k: v for k, v in own.items() if b"/" not in k}, about.earnings)
        self._add(kept.host_debt, base, "diamonds", owed, about.earnings)
        days = {name: value for name, value in own.items() if name.rpartition(b"/")[2].isdigit() and b"/" in name}
        self._add(kept.day, base, "diamonds", days, about.earnings)
        self._add(kept.carry, base, "carry", carry, about.earnings)
        for name, value in _unmarked(totals).items():
            number = self._number(value, f"{base}:totals {text(name)}", about.totals(base))
            kept.totals[f"{base} {text(name)}"] = number
        cut.directory.update((text(room), text(host)) for room, host in directory.items())
        if since[1]:
            cut.days_since[base] = max(int(day or 0) for day in since)
        if last:
            cut.ledger_ends[base] = last[0][0].decode()

    def _add(
        self, book: Counter[str], base: str, name: str, found: dict[bytes, bytes], tag: Callable[[str], str]
    ) -> None:
        place = f"{base}:{name}"
        for field_, value in found.items():
            key = text(field_)
            owner = key.rpartition("/")[0] if "/" in key else key
            self._check_home(base, key, owner, place, tag)
            if _NUMBER.fullmatch(value):
                book[key] += int(value)
            else:
                self._number(value, f"{place} {key}", tag(owner))

    def _add_accounts(self, base: str, found: dict[bytes, bytes]) -> None:
        """What users have, of the fields beside which it is kept."""
        kept, place = self.cut.balances, f"{base}:coins"
        for name, field_ in found.items():
            user = text(name)
            self._check_home(base, user, user, place, about.wallet)
            try:
                account = read_account(field_)
            except ValueError as error:
                self._findings.found("not_a_number", f"{place} {user} is {error}.", about.wallet(user))
            else:
                kept.coins[user] += account.coins
                kept.bonus[user] += account.bonus
                kept.debt[user] += account.debt
                kept.sent[user] += account.sent
                kept.purchased[user] += account.purchased

    def _check_home(self, base: str, key: str, owner: str, place: str, tag: Callable[[str], str]) -> None:
        if self._keys.base(owner) != base:
            self._findings.found("wrong_partition", f"{place} has {key}, which belongs elsewhere.", tag(owner))

    def room(self, room: str, state: dict[bytes, bytes]) -> RoomState | None:
        if b"state" not in state:
            return None
        seq, coins, diamonds, likes = (
            self._number(state.get(name, b""), f"{room}, {name.decode()}", about.room(room)) for name in _COUNTED
        )
        host, live = text(state.get(b"host", b"")), state[b"state"] == b"live"
        started = state.get(b"started", b"")
        found = RoomState(host, live, int(started) if started.isdigit() else 0, seq, coins, diamonds, likes)
        self.cut.rooms[room] = found
        return found

    def live_room(self, room: str, state: dict[bytes, bytes], top: Any, streaks: dict[bytes, bytes]) -> None:
        found = self.room(room, state)
        if found is None:
            self.cut.missing.add(room)
            return
        found.top = scores(top)
        found.streaks = {}
        for name, record in streaks.items():
            if not name.startswith(b"="):
                self._streak(room, found.streaks, text(name), record)

    def _streak(self, room: str, streaks: dict[int, OpenStreak], name: str, record: bytes) -> None:
        try:
            first, count, coins, *_ = unpack_all(record)
        except UNREADABLE as error:
            self._findings.found("open_streaks_differ", f"{room}, streak {name!r}: {error!r}.", about.log(room))
        else:
            streaks[first] = OpenStreak(count, coins)

    def _number(self, value: bytes, where: str, tag: str) -> int:
        if _NUMBER.fullmatch(value):
            return int(value)
        self._findings.found("not_a_number", f"{where} is {value[:40]!r}.", tag)
        return 0


def text(name: bytes) -> str:
    """A name that somebody else may have written."""
    return name.decode(errors="backslashreplace")


def scores(pairs: Iterable[tuple[bytes, float]]) -> dict[str, int]:
    """A ranking; -1 for a score that is no whole number."""
    return {text(user): int(score) if score.is_integer() else -1 for user, score in pairs}


def unpack_all(record: bytes) -> list[Any]:
    """Msgpack values one after another. Raises one of :data:`UNREADABLE`."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(record)
    return list(unpacker)
