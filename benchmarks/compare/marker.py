"""The marker in each event's body, by which the load finds events in any protocol.

``#PPPP:NNNNNNNNNN@TTTTTTTTTTTTTTTTTTT.``: the publisher (4 digits), its event's number from 1 (10 digits) and when it
was to be sent (19 digits: ns of the monotonic clock), then filler up to the body's size.
"""

from __future__ import annotations

from typing import Final

SIZE: Final = 37
BODY: Final = 200


def body(publisher: int, number: int, due_ns: int, size: int = BODY) -> str:
    """The body of one event, ``size`` characters."""
    return f"#{publisher:04d}:{number:010d}@{due_ns:019d}.".ljust(size, "x")
