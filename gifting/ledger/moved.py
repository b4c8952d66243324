"""That books are elsewhere, or not all there: marks in ``meta`` of what was moved, and of where it is moved to."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from gifting.errors import BooksArriving, BooksMoved
from gifting.ledger.connect import BinaryRedis

MOVED: Final = "moved"
"""Field where books were: when and where to they were moved. It is never taken away."""

ARRIVING: Final = "arriving"
"""Field where books are moved to, and all that ``meta`` has until all of them are there: which these are, and a name of
the place that :data:`MOVED` has too, once they were moved to this one and no other.
"""

CAME: Final = "came"
"""Field of a partition's ``line``: the last item of its ledger that came with a move, and so was given no number."""


def identity(salt: bytes) -> str:
    """Which books these are: no two have the same salt."""
    return sha256(salt).hexdigest()[:16]


def require_here(meta: Mapping[bytes, bytes]) -> None:
    """Refuse books that were moved away, or have not all come.

    Raises:
        BooksMoved
        BooksArriving
    """
    if moved := meta.get(MOVED.encode()):
        raise BooksMoved(f"These books were moved: {moved.decode(errors='replace')}.")
    if ARRIVING.encode() in meta:
        raise BooksArriving("Not all of the books that are moved here have come.")


async def look_here(redis: BinaryRedis, meta: str) -> None:
    """:func:`require_here`, as ``meta`` is now. Raises RedisError and OSError too."""
    names = [name.encode() for name in (MOVED, ARRIVING)]
    found = zip(names, await redis.hmget(meta, names), strict=True)
    require_here({name: value for name, value in found if value is not None})
