"""What keeps this process from serving, or is not as it should be, part by part, as ``/readyz`` names it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

log = logging.getLogger(__name__)

Check = Callable[[], str]
"""Why a part does not work just now; '' where it does."""


class Health:
    """The problems of one process: what its parts said, and what is found when somebody asks.

    A part says that it does not work (:meth:`fail`) until it says that it does (:meth:`mend`), or has a check that is
    called whenever the problems are read. What others do without for a while is degraded (:meth:`degrade`), and no
    problem. ``why`` is a sentence for operators; it is shown to everybody, so it names no user and no secret.
    """

    __slots__ = ("_checks", "_degraded", "_failed")

    def __init__(self) -> None:
        self._failed: dict[str, str] = {}
        self._degraded: dict[str, str] = {}
        self._checks: dict[str, Check] = {}

    def check(self, part: str, check: Check) -> None:
        """Ask ``check`` for the part whenever the problems are read."""
        self._checks[part] = check

    def fail(self, part: str, why: str) -> None:
        """The part does not work from now on. Logged where that is news."""
        if self._failed.get(part) != why:
            log.error("not ready: %s: %s", part, why)
        self._failed[part] = why

    def mend(self, part: str) -> None:
        """The part works again; nothing where it did."""
        if self._failed.pop(part, None) is not None:
            log.warning("works again: %s", part)

    @property
    def problems(self) -> Mapping[str, str]:
        """Part → why, of all that does not work."""
        found = {part: why for part, check in self._checks.items() if (why := check())}
        return MappingProxyType(found | self._failed)

    def degrade(self, part: str, why: str) -> None:
        """The part does not work as it should, and what is served does not suffer yet. Logged once."""
        if part not in self._degraded:
            log.warning("degraded: %s: %s", part, why)
        self._degraded[part] = why

    def recover(self, part: str) -> None:
        """The part is as it should be; nothing where it was."""
        if self._degraded.pop(part, None) is not None:
            log.warning("no longer degraded: %s", part)

    @property
    def degraded(self) -> Mapping[str, str]:
        """Part → why, of all that is degraded."""
        return MappingProxyType(dict(self._degraded))
