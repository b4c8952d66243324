"""Blobs: the gifts of one number between two partitions of a cluster (``lua/include/outbox.lua``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gifting.ledger.audit.pairs import Blob, Epoch, Sent
from gifting.ledger.audit.values import unpack_all
from gifting.model.packing import unpack_raw

TARGET: Final = 6
"""Values of a target: the place of its room, room, host, gift, whether it is streakable, and what its events have."""

GIFT: Final = 11
"""Values of a gift: the place of its target, user, key, time, digest, count, coins, and four more."""


def read_blob(raw: bytes) -> Blob:
    """Raises one of ``UNREADABLE``."""
    _, seq, epochs, _, targets, values = unpack_raw(raw)
    to = list(_rows(unpack_all(targets, raw=True), TARGET))
    gifts = []
    for place, user, key, _, _, _, coins, *_ in _rows(unpack_all(values, raw=True), GIFT):
        room, host = to[place - 1][1:3]
        gifts.append(Sent(key, user.decode(), room.decode(), host.decode(), int(coins)))
    return Blob(int(seq), tuple(Epoch(int(epoch), int(base)) for epoch, base in epochs), tuple(gifts), raw)


def _rows(values: list[Any], width: int) -> Iterator[list[Any]]:
    for at in range(0, len(values), width):
        yield values[at : at + width]
