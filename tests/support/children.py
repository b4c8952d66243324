"""Processes that a test has begun, and must have ended."""

from __future__ import annotations

from contextlib import suppress

import psutil


def children() -> set[int]:
    """All below this process, but for what a Redis has begun itself: it has one for a moment while it writes its file
    anew, whosever Redis it is.
    """
    found = set[int]()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            parent = child.parent()
            if parent is None or "redis" not in parent.name():
                found.add(child.pid)
    return found
