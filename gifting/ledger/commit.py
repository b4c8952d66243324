"""One commit call: its items, how they are packed, what comes back, and what each item is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from gifting import errors
from gifting.ledger.commit_keys import HOSTS_KEYS, ROOM_KEYS, SENDERS_KEYS, Spot, hosts_bulks, senders_bulks
from gifting.ledger.status import Status, refusal
from gifting.model.packing import pack
from gifting.model.values import Done, Outcome, Result

log = logging.getLogger(__name__)

GIFT, EVENT, LIKE = 1, 2, 3
"""Kinds of items, as the script knows them."""

OK: Final = int(Status.OK)
DUPLICATE: Final = 1


class Reply(NamedTuple):
    """What the script says of one item. ``how``: 0 fresh, 1 a duplicate; 50, 80 or 100: fresh, and so many percent of a
    limit are spent. ``streak`` is the seq of the streak's first event. What is refused has in place of ``seq`` when
    that ends (ms), or how many coins are allowed.
    """

    how: int
    status: int
    seq: int
    coins: int
    repeat_count: int
    streak: int


RawReply = tuple[int, int, int, int, int, int]
"""The values of a :class:`Reply`, of which there are too many to give each its name."""


class PendingCommit(msgspec.Struct, frozen=True):
    """One thing to commit: its kind, where it happens, its other fields packed, and whom to tell.

    ``sender`` is the bucket of its key, in the sender's partition, and ``target`` a gift in a room, packed; None for
    what is free. Only what has a sender has a key, which makes it safe to send again. ``sent`` says that it was sent
    before, and what became of it is not known. ``terms`` are the sender's, packed.
    """

    kind: int
    sender: Spot | None
    room: Spot
    target: bytes | None
    fields: bytes
    done: Done
    queued_at: float
    sent: bool = False
    terms: bytes = b""


# Every item is told once. There are three outcomes, and a function for each.


def deliver(items: Sequence[PendingCommit], replies: Sequence[RawReply]) -> None:
    """Tell items what the script said of them. Here, and nowhere else, a refusal becomes the error that it is."""
    for item, (how, status, seq, coins, repeat_count, streak) in zip(items, replies, strict=True):
        if status == OK:
            tell(item, Result(how == DUPLICATE, seq, coins, repeat_count, streak, how if how > DUPLICATE else 0))
        else:
            error = refusal(status, coins, seq)
            if isinstance(error, errors.ConfirmRequired):
                error.gift = item.fields
            tell(item, error)


def abandon(items: Iterable[PendingCommit]) -> None:
    """Tell items that were sent, and are not answered, that nobody knows."""
    for item in items:
        tell(item, errors.Unconfirmed() if item.sender is None else errors.OutcomeUnknown())


def refuse(items: Iterable[PendingCommit], error: errors.GiftingError) -> None:
    """Tell items that they are not taken, as far as that is certain: not where one may have been before."""
    for item in items:
        if item.sent:
            abandon((item,))
        else:
            tell(item, error)


def tell(item: PendingCommit, outcome: Outcome) -> None:
    """Tell one item; what that raises is logged."""
    try:
        item.done(outcome)
    except Exception:
        log.exception("the outcome of an item is known, but telling its sender failed")


# On the wire.


_decode_replies: Final = msgspec.msgpack.Decoder(list[RawReply]).decode


def read_replies(reply: bytes, count: int) -> Sequence[RawReply]:
    """What the script said of each of ``count`` items. Raises ValueError: it is no such thing."""
    replies = _decode_replies(reply)
    if len(replies) != count:
        raise ValueError(f"what came is no reply for each of {count} items")
    return replies


class Packed(msgspec.Struct, frozen=True):
    """A batch as the script takes it: its keys on the wire, how many they are, and its arguments after the options."""

    keys: bytes
    keys_count: int
    arguments: tuple[bytes, bytes, bytes, bytes, bytes]


def pack_batch(batch: Sequence[PendingCommit]) -> Packed:
    """Every partition, room, bucket, target and terms is told once, and then named by its place."""
    return _pack_lone(*batch) if len(batch) == 1 else _pack_several(batch)


def _pack_lone(item: PendingCommit) -> Packed:
    """The same bytes as :func:`_pack_several` makes, in a quarter of the time: what there is has the first place."""
    sender, room, target = item.sender, item.room, item.target
    keys = hosts_bulks(room.base) + room.keys
    if sender is None or target is None:
        arguments = (_KINDS[item.kind], _lone_places(), b"", b"", _FIRST + item.fields)
        return Packed(keys, HOSTS_KEYS + ROOM_KEYS, arguments)
    keys = senders_bulks(sender.base) + keys + sender.keys
    places, values = _lone_places(sender.number), _FIRST * 3 + item.fields
    arguments = (_KINDS[item.kind], places, _FIRST + target, item.terms, values)
    return Packed(keys, SENDERS_KEYS + HOSTS_KEYS + ROOM_KEYS + 1, arguments)


_FIRST: Final = pack(1)
_KINDS: Final = {kind: bytes((kind,)) for kind in (GIFT, EVENT, LIKE)}


@lru_cache
def _lone_places(*bucket: int) -> bytes:
    """What :func:`_address` says of one room, and of a bucket by its number if there is one."""
    return pack((len(bucket), 1, (1,), (1,) * len(bucket), bucket))


def _pack_several(batch: Sequence[PendingCommit]) -> Packed:
    rooms, buckets = Spots(), Spots()
    targets: dict[bytes, bytes] = {}
    terms: dict[bytes, bytes] = {}
    heads: list[bytes] = []
    values: list[bytes] = []
    for item in batch:
        sender, room, target = item.sender, item.room, item.target
        if sender is None or target is None:
            values += (rooms.get(room.keys) or rooms.add(room), item.fields)
            continue
        place = targets.get(target)
        if place is None:
            heads += (rooms.get(room.keys) or rooms.add(room), target)
            place = targets[target] = pack(len(targets) + 1)
        on_terms = terms.get(item.terms)
        if on_terms is None:
            on_terms = terms[item.terms] = pack(len(terms) + 1)
        values += (buckets.get(sender.keys) or buckets.add(sender), place, on_terms, item.fields)
    kinds = bytes([item.kind for item in batch])
    keys, count, places = _address(rooms, buckets)
    return Packed(keys, count, (kinds, places, b"".join(heads), b"".join(terms), b"".join(values)))


def _address(rooms: Spots, buckets: Spots) -> tuple[bytes, int, bytes]:
    """The keys, how many, and the places as the script reads them."""
    (hosts, room_homes), (senders, bucket_homes) = _homes(rooms), _homes(buckets)
    keys = [*map(senders_bulks, senders), *map(hosts_bulks, hosts), *rooms, *buckets]
    count = SENDERS_KEYS * len(senders) + HOSTS_KEYS * len(hosts) + ROOM_KEYS * len(rooms) + len(buckets)
    numbers = [spot.number for spot in buckets.found]
    return b"".join(keys), count, pack((len(senders), len(hosts), room_homes, bucket_homes, numbers))


def _homes(spots: Spots) -> tuple[dict[str, int], list[int]]:
    """The partitions in which they are, each with its place, and of each of them the place of its own."""
    bases: dict[str, int] = {}
    return bases, [bases.setdefault(spot.base, len(bases) + 1) for spot in spots.found]


class Spots(dict[bytes, bytes]):
    """Spots by their keys, in the order in which they were first named: where one stands, from 1, as wire bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Spot] = []

    def add(self, spot: Spot) -> bytes:
        self.found.append(spot)
        place = self[spot.keys] = pack(len(self.found))
        return place
