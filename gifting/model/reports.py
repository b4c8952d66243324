"""What a user may report: a struct."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal["spam", "scam", "harassment", "hate", "sexual", "violence", "minor", "self_harm", "other"]


class Report(Struct, frozen=True, kw_only=True):
    """``by`` reports ``user`` or ``room``, or what was said there in the event ``seq`` (0: none), which is ``said``;
    ``text`` is the reporter's. ``real`` is who is behind ``user``, where that is a pseudonym: for operators alone.
    ``ts`` is in ms since 1970.
    """

    id: str = ""
    ts: int = 0
    by: str
    kind: Kind
    room: str
    user: str
    real: str = ""
    seq: int
    said: str
    text: str
