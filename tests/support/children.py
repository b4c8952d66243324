"""Processes that a test has begun, and must have ended."""

from __future__ import annotations

from contextlib import suppress

import psutil


def children() -> set[int]:
    """All that this process has begun itself, and so all below whom a test may have left any.

    Not what is below those that others have begun: the session's Redis has a process for a moment while it writes its
    file anew, its PostgreSQL while it cleans up, its browser whenever it likes.
    """
    return {child.pid for child in psutil.Process().children()}


def runs(process: psutil.Process) -> bool:
    """Whether it is there, and more than what its parent has to take note of; it may end while this is asked."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
