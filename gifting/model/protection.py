"""What protects one user from spending too much: a record that is kept apart from the balance, and read once an hour.

The scripts use it too (``lua/include/protection.lua``): they know ``limits``, ``guard``, the caps, ``until``,
``offsets``, ``calendar`` and ``hours``, and carry the rest along.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

import msgspec
from msgspec import Struct

from gifting.model.calendar import HOUR_MS, UTC_ONLY, Calendar, Offsets
from gifting.model.money import MAX_AMOUNT
from gifting.model.packing import pack, unpack

Rolling = Literal["h24", "d7", "d30"]
Window = Rolling | Calendar
Cap = Literal["gift", "streak", "confirm_above"]

WIDTHS: Final[dict[Window, int]] = {"h24": 24 * HOUR_MS, "d7": 7 * 24 * HOUR_MS, "d30": 30 * 24 * HOUR_MS}
"""How long a rolling window is, in ms."""

CALENDAR: Final[tuple[Calendar, ...]] = get_args(Calendar)
WINDOWS: Final[tuple[Window, ...]] = (*WIDTHS, *CALENDAR)
"""In the order in which scripts number them, from 1."""

CAPS: Final[tuple[Cap, ...]] = get_args(Cap)

UNLIMITED: Final = MAX_AMOUNT
"""A limit that no amount passes; a time that never comes."""

Limits = dict[str, int]
"""Coins per window; a window that is not there has no limit. 0: nothing may be spent."""


class Raise(NamedTuple):
    """A limit, as :mod:`gifting.model.limits` names it, to be raised from ``at`` (ms) on, if it is asked for again."""

    at: int
    what: str
    value: int


class Span(NamedTuple):
    """A time, its end not included, in ms since 1970."""

    start: int
    end: int


class Protection(Struct, frozen=True, omit_defaults=True):
    """The record.

    ``limits`` are of gifts; ``guard…`` is what the guardian has set. ``caps`` are in the order of :data:`CAPS`, 0 for
    none. ``until``: no spending before (ms). ``calendar``: when the running day, week and month end, and what was spent
    in each. ``hours``: coins per hour since 1970, ascending. ``spans``: calendar windows of purchases that a move has
    lengthened. ``invited``: who is asked to be guardian. ``asked``: when a limit of purchases was asked for; 0: never.
    """

    v: int = 0
    limits: Limits = {}
    guard: Limits = {}
    caps: tuple[int, int, int] = (0, 0, 0)
    guard_caps: tuple[int, int, int] = (0, 0, 0)
    until: int = 0
    zone: str = "UTC"
    offsets: Offsets = UTC_ONLY
    calendar: tuple[int, int, int, int, int, int] = (0, 0, 0, 0, 0, 0)
    hours: tuple[tuple[int, int], ...] = ()
    raises: tuple[Raise, ...] = ()
    purchases: Limits = {}
    guard_purchases: Limits = {}
    spans: tuple[Span, ...] = ()
    guardian: str = ""
    invited: str = ""
    asked: int = 0


NOTHING: Final = Protection()
"""Of a user who has set nothing."""


def read_protection(stored: bytes | None) -> Protection:
    """The record as it is kept; :data:`NOTHING` where none is. Raises msgspec.ValidationError for what is none."""
    return NOTHING if stored is None else msgspec.convert(unpack(stored), Protection)


def write_protection(record: Protection) -> bytes:
    """As scripts read it."""
    return pack(msgspec.to_builtins(record))
