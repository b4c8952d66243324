"""The consistent cut: all balances at one moment, and where each stream ended then; on a cluster, of each partition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.pairs import Half
from gifting.model.pseudonym import SALT_SIZE


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
    are by partition, ``directory`` room → host; ``missing`` are its rooms that are nowhere else. ``halves`` is
    there on a cluster only: what each partition keeps of the others.
    """

    meta: dict[str, str] = field(default_factory=dict)
    balances: Balances = field(default_factory=Balances)
    ledger_ends: dict[str, str] = field(default_factory=dict)
    days_since: dict[str, int] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    directory: dict[str, str] = field(default_factory=dict)
    rooms: dict[str, RoomState] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    halves: list[Half] = field(default_factory=list)

    @property
    def salt(self) -> bytes:
        """Of pseudonyms; b'' where there is none that can be one, and then nobody is known by them."""
        try:
            return bytes.fromhex(self.meta.get("salt", ""))[:SALT_SIZE]
        except ValueError:
            return b""
