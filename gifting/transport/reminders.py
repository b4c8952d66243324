"""Who is reminded of what was spent, and when: an hour after the first gift, and each hour after that."""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec import Struct

from gifting.ledger.ledger import Ledger
from gifting.ledger.notices import Notice
from gifting.model.calendar import HOUR_MS
from gifting.transport.notices import Notices
from gifting.transport.sessions import Sessions

REMINDER_INTERVAL: Final = 3600.0
"""Seconds from a user's first gift to the first reminder, and from one to the next."""

TWICE_WITHIN: Final = REMINDER_INTERVAL / 2
"""Seconds within which a second reminder is the same one, by another process on which it was due just then."""

SPENDERS_MAX: Final = 100_000
"""Users that are remembered to be reminded, about 300 bytes each. Who comes then is not."""


class _Spell(Struct):
    """A user's time of spending. ``began``: the start of its first hour, in ms since 1970; ``due`` and ``told``: when
    the next reminder is due, and the last was heard, in seconds of the loop's clock.
    """

    began: int
    due: float
    told: float


class Reminders:
    """Those who gave by this process, and those here who gave by another and were reminded by it: nobody who only
    watches costs anything.

    Each process reminds those who gave by it, by way of all processes. Who hears a reminder goes on from there, so
    that one is told an hour later, whoever is first; and forgets a user that has no socket here.
    """

    def __init__(self, sessions: Sessions, notices: Notices, ledger: Ledger) -> None:
        self._sessions = sessions
        self._notices = notices
        self._ledger = ledger
        self._spells: dict[str, _Spell] = {}
        self._due: deque[tuple[float, str]] = deque()

    def gave(self, user: str, now: float) -> None:
        """A user gave something."""
        if user not in self._spells:
            self._begin(user, self._ledger.now_ms() // HOUR_MS * HOUR_MS, now, -TWICE_WITHIN)

    def _begin(self, user: str, began: int, now: float, told: float) -> None:
        if len(self._spells) < SPENDERS_MAX:
            self._spells[user] = spell = _Spell(began, 0.0, told)
            self._put_off(user, spell, now)

    def _put_off(self, user: str, spell: _Spell, now: float) -> None:
        spell.due = now + REMINDER_INTERVAL
        self._due.append((spell.due, user))

    async def look(self, now: float) -> None:
        """Remind those whose hour is over. Raises Unavailable; then the rest is still due."""
        while self._due and self._due[0][0] <= now:
            at, user = self._due[0]
            spell = self._spells.get(user)
            if spell is not None and spell.due == at:
                await self._ledger.notices.remind(user, spell.began)
                if spell.due == at:  # nothing is heard yet, and may never be
                    self._put_off(user, spell, now)
            self._due.popleft()

    def heard(self, notice: Notice, now: float) -> None:
        """A reminder for all processes."""
        user, spell = notice.user, self._spells.get(notice.user)
        if spell is not None and now - spell.told < TWICE_WITHIN:
            return
        if not self._sessions.of(user):
            self._spells.pop(user, None)
            return
        self._notices.tell(user, notice.event)
        if spell is None:
            self._begin(user, notice.began, now, now)
            return
        spell.began, spell.told = min(spell.began, notice.began), now
        self._put_off(user, spell, now)
