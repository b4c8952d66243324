"""What each key of one Redis is, what it is called on a cluster, and what of its content says so too. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from gifting.errors import Unmovable
from gifting.ledger.keys import Keys, partition_of
from gifting.ledger.trimming import MARK

Type = Literal["hash", "zset", "stream", "string"]

COPIED: Final[Mapping[str, Type]] = {
    "coins": "hash",
    "accounts": "hash",
    "orders:*": "hash",
    "reversals:*": "hash",
    "reversals": "zset",
    "clawbacks:*": "hash",
    "wards:*": "zset",
    "orders": "zset",
    "payouts:*": "hash",
    "payouts": "zset",
    "references": "hash",
    "diamonds": "hash",
    "creators": "hash",
    "carry": "hash",
    "totals": "hash",
    "ledger": "stream",
    "archived": "string",
    "archived/items": "string",
    "trimmed": "string",
    "keys:*": "hash",
    "keys": "zset",
    "grants:*": "hash",
    "grants": "zset",
    "floors": "hash",
    "peaks": "zset",
    "directory": "hash",
    "live": "zset",
    "watched": "zset",
    "hosting": "hash",
    "streaks": "zset",
    "room:*": "hash",
    "room:*/log": "stream",
    "room:*/removed": "zset",
    "room:*/streaks": "hash",
    "room:*/top": "zset",
    "room:*/users": "hash",
    "room:*/presence": "hash",
    "room:*/pace": "zset",
    "held:*": "stream",
    "people:*": "hash",
    "overlays:*": "zset",
    "revoked:*": "zset",
    "banned": "zset",
    "erasures": "zset",
    "erasures/why": "hash",
    "acts": "stream",
    "unbanned": "zset",
    "reports": "hash",
    "reports/open": "zset",
    "reporters": "hash",
    "cases:*": "hash",
    "cases": "hash",
    "cases/open": "zset",
    "cases/decided": "zset",
    "sandbox": "hash",
    "sandbox/due": "zset",
    "sandbox/changed": "zset",
    "sandbox/sent": "zset",
    "sandbox/payouts/due": "zset",
    "deliveries": "hash",
    "promotion:*": "hash",
    "promotions": "zset",
    "revisions": "zset",
}
"""What is copied; ``*``: of whom, or which."""

LEFT: Final = frozenset(("meta", "chain:*"))
"""``meta`` is written last, by itself; a chain is that of a connection to one Redis, and ends with it."""

OF_A_CLUSTER: Final = frozenset(("line", "waited", "outbox", "marks", "park/*", "fenced", "meta"))
"""What a cluster has and one Redis has not, or otherwise."""

MERGED: Final = "cases"
"""On a cluster all partitions' are one."""

_IN_THE_FIRST: Final = (MERGED, "cases:*")
_NAMES_OF_BUCKETS: Final = ("keys", "grants")

FIRST_EPOCH: Final = {b"lineage": b"0" * 40 + b"1", b"epochs": b"\x91\x92\x01\x00"}
"""What a room on a cluster has beside (``lua/include/room.lua``): all of its log until now is of epoch 1, before any
that a cluster begins, as these are times in ms; under a replication id that there is not.
"""


class Place(NamedTuple):
    """A key of one Redis: what it is, and what it is called on a cluster."""

    key: bytes
    kind: str
    destination: bytes


class Names:
    """Of books with the keys ``source``, which are to have the keys ``destination``."""

    def __init__(self, source: Keys, destination: Keys) -> None:
        self._count = len(source.bases)
        self._to = dict(zip(_bytes(source), _bytes(destination), strict=True))
        self._from = {there: here for here, there in self._to.items()}
        self._first = _bytes(source)[0]

    def place(self, key: bytes) -> Place | None:
        """None: it is left where it is. Raises Unmovable: nobody knows what it is."""
        base, kind, _ = _split(key)
        if kind in LEFT:
            return None
        if base not in self._to or kind not in COPIED:
            raise Unmovable(f"This version does not know what {_text(key)} is.")
        return Place(key, kind, self.name(key))

    def name(self, key: bytes) -> bytes:
        base, kind, name = _split(key)
        home = self._to[self._first if kind in _IN_THE_FIRST else base]
        return home + b":" + name

    def origin(self, key: bytes) -> bytes | None:
        """Where a key of the cluster is copied from; None: from nowhere, or from several. Raises Unmovable."""
        base, kind, name = _split(key)
        if kind in OF_A_CLUSTER or kind == MERGED:
            return None
        if base not in self._from or kind not in COPIED:
            raise Unmovable(f"This version does not know what {_text(key)} is.")
        if kind in _IN_THE_FIRST:
            number = partition_of(name.partition(b":")[2].decode(), self._count)
            return [*self._to][number] + b":" + name
        return self._from[base] + b":" + name

    def member(self, kind: str, member: bytes) -> bytes:
        """A field of a hash or a member of a sorted set. Those that are names of keys change as these do."""
        if kind in _NAMES_OF_BUCKETS:
            return self.name(member)
        if kind == "totals" and member.startswith(MARK):
            return MARK + self.name(member.removeprefix(MARK))
        return member


def added(kind: str) -> Mapping[bytes, bytes]:
    """Fields that a hash has on a cluster only."""
    return FIRST_EPOCH if kind == "room:*" else {}


def _bytes(keys: Keys) -> list[bytes]:
    return [base.encode() for base in keys.bases]


def _split(key: bytes) -> tuple[bytes, str, bytes]:
    """What a key begins with, its kind as in :data:`COPIED`, and what is behind its base."""
    base, brace, name = key.partition(b"}:")
    head, colon, rest = name.partition(b":")
    if head.startswith(b"park/"):
        return base + b"}", "park/*", name
    if not (brace and colon):
        return base + b"}", head.decode(errors="replace"), name
    _, slash, part = rest.partition(b"/") if head == b"room" else (rest, b"", b"")
    return base + b"}", (head + b":*" + slash + part).decode(errors="replace"), name


def _text(key: bytes) -> str:
    return key.decode(errors="backslashreplace")
