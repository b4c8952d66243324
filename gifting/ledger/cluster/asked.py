"""What rooms and their hosts said when they were asked: a debit is decided by it, in a partition that knows neither.

It is remembered for at most :data:`KEPT` seconds, and asked anew before that where it is in use. So what another node
has decided (a room has ended, somebody is blocked, the rules are others) holds here so much later; what this node has
decided holds at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from time import monotonic
from typing import Any, Final, NamedTuple

from msgspec import Struct

from gifting.ledger.cluster.debit_call import Asked, asked_person, asked_room
from gifting.ledger.cluster.fields import user_of
from gifting.ledger.cluster.link import Query
from gifting.ledger.cluster.links import Links
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.commit import PendingCommit
from gifting.ledger.commit_keys import SPOTS_CACHED, Spot
from gifting.ledger.resp import Words, command

KEPT: Final = 1.0
"""Seconds."""

RENEWED: Final = 0.5
"""Seconds after which what is in use is asked anew, before it is too old."""

ROOMS_MAX: Final = 20_000
PERSONS_MAX: Final = 50_000
"""What is remembered, of rooms and of users in them; some 300 bytes each."""

_ROOM: Final = ("state", "host", "rules", "coins")


class Place(NamedTuple):
    """The keys of a room, and of what is known of its host."""

    room: str
    people: str
    diamonds: str
    host: str


@lru_cache(SPOTS_CACHED)
def place_of(spot: Spot) -> Place:
    names = spot.keys.decode().split("\r\n")[1::2]
    people = names[5]
    return Place(names[0], people, f"{spot.base}:diamonds", people.removeprefix(f"{spot.base}:people:"))


class Known(Struct, frozen=True):
    """What was said, packed, and when it was asked for; ``people``: whether the host has decided about anybody."""

    packed: bytes
    asked_at: float
    people: bool = False


Wanted = tuple[Spot, bytes]
"""A room; or a user in it, by its id."""


class AskedRooms:
    """Answers for gifts at once, or asks: ``answered`` is called when something has been, or could not be in time."""

    def __init__(self, links: Links, timeout: float, answered: Callable[[], None]) -> None:
        self._links = links
        self._timeout = timeout
        self._answered = answered
        self._loop = asyncio.get_running_loop()
        self._rooms: dict[bytes, Known] = {}
        self._persons: dict[tuple[bytes, bytes], Known] = {}
        self._wanted: dict[Wanted, None] = {}
        self._asking: dict[Wanted, bool] = {}

    def look(self, item: PendingCommit, *, at_any_age: bool = False) -> Asked | None:
        """A gift with what is known; None where that has to be asked for. At any age: better old than none."""
        now, spot = monotonic(), item.room
        room = self._rooms.get(spot.keys)
        age = KEPT if room is None else now - room.asked_at
        if age >= RENEWED:
            self._ask(spot, b"")
        if room is None or (age >= KEPT and not at_any_age):
            return None
        if not room.people:
            return Asked(item, room.packed)
        user = user_of(item.fields)
        person = self._persons.get((spot.keys, user))
        if person is None or (now - person.asked_at >= KEPT and not at_any_age):
            self._ask(spot, user)
            return None
        return Asked(item, room.packed, person.packed)

    def forget_all(self) -> None:
        """Anything may have changed."""
        self._rooms.clear()
        self._persons.clear()
        self._asking = dict.fromkeys(self._asking, False)

    def forget(self, names: Sequence[str]) -> None:
        """Something has changed under these keys."""
        changed = set(names)

        def is_changed(keys: bytes) -> bool:
            found = keys.decode().split("\r\n")
            return found[1] in changed or found[11] in changed

        self._rooms = {keys: known for keys, known in self._rooms.items() if not is_changed(keys)}
        self._persons = {who: known for who, known in self._persons.items() if not is_changed(who[0])}
        for wanted in self._asking:
            if is_changed(wanted[0].keys):
                self._asking[wanted] = False

    # Asking.

    def _ask(self, spot: Spot, user: bytes) -> None:
        wanted = spot, user
        if wanted in self._asking or wanted in self._wanted:
            return
        if not self._wanted:
            self._loop.call_soon(self._send)
        self._wanted[wanted] = None

    def _send(self) -> None:
        """One query per partition."""
        by_base: dict[str, list[Wanted]] = {}
        for wanted in self._wanted:
            by_base.setdefault(wanted[0].base, []).append(wanted)
        self._wanted.clear()
        for base, together in by_base.items():
            self._asking.update(dict.fromkeys(together, True))
            commands = [words for wanted in together for words in _questions(*wanted)]
            request, now = b"".join(command(*words) for words in commands), monotonic()
            done = partial(self._take, together, now)
            self._links.ask(Query(slot_of(base), request, len(commands), done, now + self._timeout))

    def _take(self, together: list[Wanted], asked_at: float, replies: list[Any] | Exception) -> None:
        left = iter(()) if isinstance(replies, Exception) else iter(replies)
        for spot, user in together:
            holds = self._asking.pop((spot, user))
            said = [] if isinstance(replies, Exception) else [next(left) for _ in _questions(spot, user)]
            if said and holds:
                self._keep(spot, user, asked_at, said)
        self._answered()

    def _keep(self, spot: Spot, user: bytes, asked_at: float, said: list[Any]) -> None:
        if user:
            (decided,) = said
            _remember(self._persons, (spot.keys, user), Known(asked_person(*decided), asked_at), PERSONS_MAX)
        else:
            room, diamonds, people = said
            known = Known(asked_room(*room, *diamonds), asked_at, bool(people))
            _remember(self._rooms, spot.keys, known, ROOMS_MAX)


def _questions(spot: Spot, user: bytes) -> tuple[Words, ...]:
    place = place_of(spot)
    if user:
        return (("HMGET", place.people, user, b"~" + user),)
    earned = (place.host, f"{place.host}/bps")
    return ("HMGET", place.room, *_ROOM), ("HMGET", place.diamonds, *earned), ("HLEN", place.people)


def _remember(known: dict[Any, Known], name: Any, value: Known, most: int) -> None:
    known.pop(name, None)
    while len(known) >= most:
        del known[next(iter(known))]
    known[name] = value
