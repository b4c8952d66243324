"""Which slot of a Redis Cluster a key is in, and hash tags that spread the partitions evenly over the slots."""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache
from itertools import product
from string import ascii_lowercase, digits
from typing import Final

from gifting.config import PARTITIONS_MAX

SLOTS: Final = 16_384
"""A power of two, so that the slot of a tag is linear in its bits: see :func:`tags`."""

_ALPHABET: Final = (digits + ascii_lowercase).encode()
_SUFFIX: Final = 4
"""Characters of a tag's suffix: 36 ** 4 of them fall into each slot about a hundred times."""


def slot_of(key: str | bytes) -> int:
    """The slot of a key: of what is between its first ``{`` and the next ``}``, if there is anything."""
    name = key.encode() if isinstance(key, str) else key
    _, opened, rest = name.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else name, 0) % SLOTS


def beside(key: str, name: str) -> str:
    """A key in the slot of another: in the same partition, where that has one."""
    before, opened, rest = key.partition("{")
    tag, closed, _ = rest.partition("}")
    return f"{before}{{{tag}}}:{name}" if opened and closed and tag else f"{{{key}}}:{name}"


@cache
def tags(partitions: int) -> tuple[str, ...]:
    """Hash tags for so many partitions, as ``p03-0k7q``, the same for ever.

    Each is in the middle of its own of equal ranges of slots, so that masters with equal ranges have equally many.

    The first is the same whatever the number is, so that what is kept there of the number can be found.
    """
    middles = [(2 * number + 1) * SLOTS // (2 * partitions) for number in range(partitions)]
    middles[0] = SLOTS // (2 * PARTITIONS_MAX)
    return tuple(_tag(f"p{number:02d}-", slot) for number, slot in enumerate(middles))


def _tag(name: str, slot: int) -> str:
    """``name`` with the suffix that brings it into the slot.

    CRC16 is linear: the CRC of a suffix behind a name is that of the suffix alone, XOR that of zeros behind the name.
    """
    behind = crc_hqx(bytes(_SUFFIX), crc_hqx(name.encode(), 0)) % SLOTS
    return name + _suffixes()[slot ^ behind]


@cache
def _suffixes() -> dict[int, str]:
    """For each slot the first suffix, in the order of the alphabet, whose own CRC it is."""
    found: dict[int, str] = {}
    for letters in product(_ALPHABET, repeat=_SUFFIX):
        found.setdefault(crc_hqx(bytes(letters), 0) % SLOTS, bytes(letters).decode())
        if len(found) == SLOTS:
            break
    return found
