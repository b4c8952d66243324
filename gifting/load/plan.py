"""What the processes of the load generator tell each other, one JSON document per line."""

from __future__ import annotations

import time
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from gifting.client.reconnect import SOCKET_PATH
from gifting.wire.tokens import issue

LINE_MAX: Final = 1 << 28
"""Longest line, in bytes: a report carries 8 bytes per gift."""

COMPLAINTS_MAX: Final = 20
"""Discrepancies a process names; the rest it only counts."""

TOKEN_TTL: Final = 86_400.0


class Target(msgspec.Struct, frozen=True):
    """The server, and the secret that signs its tokens."""

    host: str
    port: int
    secret: str
    path: str = SOCKET_PATH

    @classmethod
    def at(cls, url: str, secret: str) -> Target:
        """The server at an ``http://`` address.

        Raises:
            ValueError: an address of another kind; the load generator doesn't speak TLS.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "ws"} or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// address.")
        return cls(parts.hostname, parts.port or 80, secret)

    def token(self, user: str) -> str:
        """A viewer's token."""
        return issue(self.secret, user, "viewer", now=time.time(), ttl=TOKEN_TTL, name=user)


class SenderPlan(msgspec.Struct, frozen=True, tag="senders", kw_only=True):
    """``count`` connections, each of user ``sender-<n>`` from ``first`` up, spread over ``rooms``.

    With a ``rate`` (gifts/s of this process) the loop is open and ``in_flight`` bounds what waits per
    connection; without, every connection keeps ``in_flight`` gifts in flight. Every ``sample``-th gift
    carries its send time.

    ``lively`` senders give as people do: streaks of gifts drawn from the catalog, free events in between, about
    ``rate`` gifts/s in all, and they come back and ask again when the server goes away. With ``faults`` they know that
    Redis fails too: what a server has asked it twice for comes back as a duplicate.
    """

    target: Target
    first: int
    count: int
    rooms: list[str]
    gift: str
    price: int
    in_flight: int
    rate: float
    sample: int
    lively: bool = False
    faults: bool = False


class ViewerPlan(msgspec.Struct, frozen=True, tag="viewers", kw_only=True):
    """``count`` connections, each of user ``viewer-<n>`` from ``first`` up, spread over ``rooms``.

    With ``slow``, one more, ``viewer-slow``, that reads nothing during the middle phase. With ``churn``, every
    second viewer does something else than listening about every so many seconds: it leaves and comes back, or stops
    reading for a while.
    """

    target: Target
    first: int
    count: int
    rooms: list[str]
    lane: str
    slow: bool = False
    churn: float = 0.0


Plan = SenderPlan | ViewerPlan


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Load from ``start`` to the last boundary; the phases lie between boundaries (monotonic ns)."""

    start: int
    boundaries: list[int]


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """Wait until every viewer has its room's final seq, at most ``patience`` seconds, and report."""

    final: dict[str, int]
    patience: float


Order = Begin | Finish


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Connected."""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """So far."""

    gifts: int = 0
    events: int = 0


class Sent(msgspec.Struct, frozen=True, tag="sent"):
    """The load is over and every gift has its reply, or ``unanswered`` have none."""

    unanswered: int


class SenderReport(msgspec.Struct, frozen=True, tag="sender_report", kw_only=True):
    """The senders' counters. ``gifts`` are those accepted per phase, ``accepted`` all; ``spent`` is per user.

    ``free`` events cost nothing and are not reconciled; ``repeated`` gifts were asked for again with the same key.
    ``keys`` has the 16 bytes of each accepted gift's key, room by room in the order of ``seqs``, of lively ones only.
    """

    gifts: list[int]
    accepted: int
    unanswered: int
    refused: dict[str, int]
    late: int
    unsent: int
    spent: dict[str, int]
    seqs: dict[str, bytes]
    ack: list[str]
    discrepancies: int
    complaints: list[str]
    free: int = 0
    repeated: int = 0
    keys: dict[str, bytes] = {}


class ViewerReport(msgspec.Struct, frozen=True, tag="viewer_report", kw_only=True):
    """The viewers' counters. ``events`` and ``frames`` are per phase; ``seen`` has each room's gifts."""

    events: list[int]
    frames: list[int]
    viewers: int
    behind: int
    closes: dict[int, int]
    seen: dict[str, bytes]
    delivery: list[str]
    discrepancies: int
    complaints: list[str]
    slow_caught_up_s: float = -1.0
    slow_closed: int = 0
    actions: dict[str, int] = {}


Report = SenderReport | ViewerReport
Notice = Ready | Progress | Sent | SenderReport | ViewerReport

encode: Any = msgspec.json.encode
decode_plan = msgspec.json.Decoder(Plan).decode
decode_order = msgspec.json.Decoder(Order).decode
decode_notice = msgspec.json.Decoder(Notice).decode
