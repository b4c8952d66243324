"""The list of live rooms: pages over all partitions, and the cursors between them. Pure.

A place in the list is a score and a room: what follows it is the same whether that room is still there or not.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from heapq import nlargest
from typing import Final, Literal
from zlib import crc32

import msgpack

from gifting.errors import BadMessage
from gifting.model.packing import pack

Sort = Literal["viewers", "start"]
SETS: Final[dict[Sort, str]] = {"viewers": "watched", "start": "live"}
"""The sorted set of each partition that has the order."""

Place = tuple[int, str]
"""Viewers or the time of the start, and the room's id."""

_CHECK_SIZE: Final = 4


def merge(pages: Iterable[list[bytes]], limit: int) -> tuple[list[Place], bool]:
    """The first ``limit`` of all partitions' rooms, of which each page has one more; and whether there are more."""
    places = (place for page in pages for place in zip(page[1::2], page[::2], strict=True))
    found = nlargest(limit + 1, ((int(float(score)), room.decode()) for score, room in places))
    return found[:limit], len(found) > limit


def make_cursor(sort: Sort, place: Place) -> str:
    packed = pack((sort, *place))
    return urlsafe_b64encode(_check(packed) + packed).decode().rstrip("=")


def read_cursor(sort: Sort, cursor: str) -> Place | None:
    """The place of a cursor; None for '', which is the beginning. Raises BadMessage: it was not made by this server."""
    if not cursor:
        return None
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        check, packed = data[:_CHECK_SIZE], data[_CHECK_SIZE:]
        of, score, room = msgpack.unpackb(packed)
        if (of, check, make_cursor(sort, (score, room))) == (sort, _check(packed), cursor):
            return score, room
    except (binascii.Error, ValueError, TypeError, msgpack.UnpackException):
        pass
    raise BadMessage(f"The cursor is not one of the list by {sort}; begin without one.")


def _check(packed: bytes) -> bytes:
    return crc32(packed).to_bytes(_CHECK_SIZE, "big")
