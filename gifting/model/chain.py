"""The chain of a partition's ledger: each item's hash covers the item as it is stored and the hash before it.

``hash_0 = SHA-256(books ‖ partition)`` and ``hash_n = SHA-256(hash_n-1 ‖ partition ‖ length of id ‖ id ‖ data)``, where
``books`` are the 16 bytes of the books' UUID, the partition's number has two bytes (big-endian), and the length one.
So who has the last hash has a proof of every byte of every item, of their order, and that none is left out.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from uuid import UUID

HASH_SIZE: Final = 32
"""Bytes of a hash."""


def first_hash(books: str, partition: int) -> bytes:
    """The hash before the first item of a partition (0 to 65535), of the books with this UUID."""
    return sha256(UUID(books).bytes + partition.to_bytes(2, "big")).digest()


def next_hash(before: bytes, partition: int, item_id: str, data: bytes) -> bytes:
    """The hash of an item that follows the one whose hash is ``before``; its id has 255 bytes at most."""
    name = item_id.encode()
    return sha256(b"%b%b%c%b%b" % (before, partition.to_bytes(2, "big"), len(name), name, data)).digest()
