"""A call of ``debit`` (``lua/debit.lua``): its items, how they are packed, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from gifting.config import Settings
from gifting.ledger.cluster.script_call import ScriptCall
from gifting.ledger.commit import PendingCommit, RawReply, Spots
from gifting.ledger.commit_keys import Spot
from gifting.ledger.keys import debit_keys
from gifting.ledger.resp import bulks
from gifting.model.packing import pack

_KEYS: Final = 8
"""How many keys a partition of senders has in a call."""

_COMPLETED: Final = b"%b\xb0%b%c%b%c%b"
_STRING: Final = 0xA0
"""Of three strings, the first of 16 bytes; and what a string of less than 32 begins with, but for its size."""

NOTHING_DECIDED: Final = pack((False, False))[1:]
"""What a host has decided about most users."""


def asked_room(
    state: bytes | None,
    host: bytes | None,
    rules: bytes | None,
    coins: bytes | None,
    diamonds: bytes | None,
    commission: bytes | None,
) -> bytes:
    """A room as it was asked: fields of its own as they are kept, then of its host's in the hash of diamonds."""
    return pack([value if value is not None else False for value in (state, host, rules, coins, diamonds, commission)])[
        1:
    ]


def asked_person(person: bytes | None, masked: bytes | None) -> bytes:
    """What a host has decided about a user, and about what the user gives by a pseudonym, as it is kept."""
    if person is None and masked is None:
        return NOTHING_DECIDED
    return _values(person, masked)


def _values(*values: bytes | None) -> bytes:
    return pack([False if value is None else value for value in values])[1:]


UNASKED: Final = asked_room(b"unasked", None, None, None, None, None)
"""A room that could not be asked: of a gift there only its key is looked at."""


class Asked(NamedTuple):
    """A gift, and what its room and its host said when they were asked, packed."""

    item: PendingCommit
    room: bytes
    person: bytes = NOTHING_DECIDED


class Completion(NamedTuple):
    """What a credit said of a gift that was told as pending: to be kept under its key."""

    bucket: Spot
    key: bytes
    seq: int
    repeat_count: int
    streak: int


class Riding(NamedTuple):
    """What goes along with a call: the epochs that marks have reached, by the number of their partition; items of the
    outbox that may go, by their ids, and, unless it is empty, the id ``before`` which all may, and the epoch in which
    they have these ids; and what is known of gifts.
    """

    reached: Mapping[int, int] = {}
    epoch: int = 0
    credited: Sequence[bytes] = ()
    completions: Sequence[Completion] = ()
    before: bytes = b""


NOTHING_RIDES: Final = Riding()


class Debited(NamedTuple):
    """What a call says: of each gift, and what was taken now is told as OK with ``seq`` 0; then the outbox's item, b''
    where there is none, in which epoch, and what it holds: (number of a partition, blob).
    """

    replies: list[RawReply]
    item: bytes
    epoch: int
    blobs: list[tuple[int, bytes]]


def debit_options(settings: Settings, commission: int, source: int) -> bytes:
    """What all calls of a partition, by its number, have in common; ``commission`` in basis points."""
    return pack(
        (
            round(settings.dedupe_window * 1000),
            round(settings.key_lead * 1000),
            round(settings.streak_window * 1000),
            *settings.diamond_rate(),
            commission,
            source,
        )
    )


class DebitCalls:
    """Calls for one partition of senders, whose keys begin with ``base``. ``numbers`` has each partition's, by what its
    keys begin with; ``now`` is the script's time.
    """

    def __init__(self, base: str, numbers: Mapping[str, int], options: bytes, now: Callable[[], str]) -> None:
        self._keys = bulks(debit_keys(base))
        self._numbers = numbers
        self._options = options
        self._now = now
        self._call = ScriptCall("debit", base)
        self.load_script = self._call.load_script

    def use(self, options: bytes) -> None:
        """Other options, from the next call on."""
        self._options = options

    def pack(self, batch: Sequence[Asked], riding: Riding = NOTHING_RIDES) -> bytes:
        """The next call, of any number of gifts, as it goes on the wire."""
        buckets, places = Spots(), _Places(self._numbers)
        terms: dict[bytes, bytes] = {}
        heads: list[bytes] = []
        values: list[bytes] = []
        for item, room, person in batch:
            sender, target = item.sender, item.target
            assert sender is not None
            assert target is not None
            on_terms = terms.get(item.terms)
            if on_terms is None:
                on_terms = terms[item.terms] = pack(len(terms) + 1)
            bucket = buckets.get(sender.keys) or buckets.add(sender)
            to = places.get(item.room.base) or places.add(item.room.base)
            heads += (bucket, on_terms, person, to.place)
            values += (to.targets.get(target) or to.add(target, item.room, room), item.fields)
        done = b"".join([_completed(one, buckets) for one in riding.completions])
        arguments = (
            self._now().encode(),
            self._options,
            pack([spot.number for spot in buckets.found]),
            b"".join([to.packed(riding.reached) for to in places.values()]),
            b"".join(terms),
            b"".join(heads),
            b"".join(values),
            pack((riding.epoch, riding.before, *riding.credited)) if riding.credited or riding.before else b"",
            done,
        )
        return self._call.pack(self._keys + b"".join(buckets), _KEYS + len(buckets), arguments)


def _completed(one: Completion, buckets: Spots) -> bytes:
    place = buckets.get(one.bucket.keys) or buckets.add(one.bucket)
    seq, rest = pack(one.seq), pack(one.repeat_count) + pack(one.streak)
    return _COMPLETED % (place, one.key, _STRING + len(seq), seq, _STRING + len(rest), rest)


class _To:
    """A partition of hosts in a call: its rooms, and its targets by what they are."""

    def __init__(self, number: int, place: int) -> None:
        self.number = number
        self.place = pack(place)
        self.targets: dict[bytes, bytes] = {}
        self._rooms: dict[bytes, bytes] = {}
        self._asked: list[bytes] = []
        self._heads: list[bytes] = []

    def add(self, target: bytes, room: Spot, asked: bytes) -> bytes:
        """Its place."""
        of_room = self._rooms.get(room.keys)
        if of_room is None:
            of_room = self._rooms[room.keys] = pack(len(self._rooms) + 1)
            self._asked.append(asked)
        self._heads += (of_room, target)
        place = self.targets[target] = pack(len(self.targets) + 1)
        return place

    def packed(self, reached: Mapping[int, int]) -> bytes:
        told = (self.number, reached.get(self.number, 0), b"".join(self._asked), b"".join(self._heads))
        return pack(told)[1:]


class _Places(dict[str, _To]):
    """Partitions of hosts, in the order in which they were first named, by what their keys begin with."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        super().__init__()
        self._numbers = numbers

    def add(self, base: str) -> _To:
        to = self[base] = _To(self._numbers[base], len(self) + 1)
        return to


_decode_replies: Final = msgspec.msgpack.Decoder(list[RawReply]).decode


def read_debit(reply: Any, count: int) -> Debited:
    """What came of a call of ``count`` gifts. Raises ValueError: it is no such thing."""
    try:
        results, item, epoch, *rest = reply
        replies = _decode_replies(results)
    except (TypeError, ValueError) as error:
        raise ValueError(f"what came is no reply of a debit: {error}") from error
    if len(replies) != count:
        raise ValueError(f"what came is no reply for each of {count} gifts")
    return Debited(replies, item, epoch, list(zip(rest[::2], rest[1::2], strict=True)))
