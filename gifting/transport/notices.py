"""Telling a user's sockets what protects the user: that a limit comes near, and what an hour has cost."""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec import Struct

from gifting.hub.pacer import Pacer
from gifting.model.events import BudgetEvent, ReminderEvent
from gifting.transport.session import Session
from gifting.transport.sessions import Sessions
from gifting.wire.replies import RoomEvents

REMINDER_INTERVAL: Final = 3600.0
"""Seconds from a user's first gift to the first reminder, and from one to the next."""

UNTOLD_MAX: Final = 4
"""Notices that wait for a socket to take data again; the newest."""

SPENDERS_MAX: Final = 100_000
"""Users whose spending is kept to remind them of it, about 300 bytes each. Who comes then is not reminded."""


class Notices:
    """What is still to be told, of each session: at once, or when its socket takes data again."""

    def __init__(self, sessions: Sessions, pacer: Pacer) -> None:
        self.due = 0.0
        self._sessions = sessions
        self._pacer = pacer
        self._untold: dict[Session, deque[BudgetEvent | ReminderEvent]] = {}

    def tell(self, user: str, event: BudgetEvent | ReminderEvent) -> None:
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


class _Spell(Struct):
    """What a user has spent since ``began`` (seconds of the loop's clock)."""

    began: float
    coins: int


class Reminders:
    """What users spend while they are here, kept from their first gift on and as long as they have a socket: nobody who
    only watches costs anything.
    """

    def __init__(self, sessions: Sessions, notices: Notices) -> None:
        self._sessions = sessions
        self._notices = notices
        self._spells: dict[str, _Spell] = {}
        self._due: deque[tuple[float, str]] = deque()

    def spent(self, user: str, coins: int, now: float) -> None:
        """A user gave so many coins away."""
        spell = self._spells.get(user)
        if spell is not None:
            spell.coins += coins
        elif len(self._spells) < SPENDERS_MAX:
            self._spells[user] = _Spell(now, coins)
            self._due.append((now + REMINDER_INTERVAL, user))

    def look(self, now: float) -> None:
        """Remind those whose hour is over; forget who is gone."""
        while self._due and self._due[0][0] <= now:
            at, user = self._due.popleft()
            if not self._sessions.of(user):
                del self._spells[user]
                continue
            spell = self._spells[user]
            self._notices.tell(user, ReminderEvent(round((at - spell.began) / 60), spell.coins))
            self._due.append((at + REMINDER_INTERVAL, user))
