"""Telling a user's sockets of this process what protects the user: that a limit comes near, what was spent, and that a
creator's money goes elsewhere.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from gifting.hub.pacer import Pacer
from gifting.model.events import BudgetEvent, DestinationEvent, ReminderEvent
from gifting.transport.session import Session
from gifting.transport.sessions import Sessions
from gifting.wire.replies import RoomEvents

UNTOLD_MAX: Final = 4
"""Notices that wait for a socket to take data again; the newest."""


_Event = BudgetEvent | ReminderEvent | DestinationEvent


class Notices:
    """What is still to be told, of each session: at once, or when its socket takes data again."""

    def __init__(self, sessions: Sessions, pacer: Pacer) -> None:
        self.due = 0.0
        self._sessions = sessions
        self._pacer = pacer
        self._untold: dict[Session, deque[_Event]] = {}

    def tell(self, user: str, event: _Event) -> None:
        """To all the user's sockets of this process; overlays, which others see, are told nothing."""
        for session in self._sessions.of(user):
            if session.identity.role != "overlay":
                self._untold.setdefault(session, deque(maxlen=UNTOLD_MAX)).append(event)
        if self._untold:
            self._pacer.mark(self)

    def flush(self, now: float) -> None:
        """Tell what can be told."""
        self.due = now + 0.25
        untold, self._untold = self._untold, {}
        for session, events in untold.items():
            if session.can_take:
                session.tell(RoomEvents("", 0, list(events)))
            elif not session.closing:
                self._untold[session] = events
        if self._untold:
            self._pacer.mark(self)

    def dismiss(self) -> None:
        """Who was not told may ask."""
