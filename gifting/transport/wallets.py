"""Telling a user's sockets of a changed balance: those that did not learn it from a reply."""

from __future__ import annotations

from typing import Final

from gifting.hub.pacer import Pacer
from gifting.model.events import WalletEvent
from gifting.transport.session import Session
from gifting.transport.sessions import Sessions
from gifting.wire.replies import RoomEvents

WALLET_INTERVAL: Final = 0.25
"""Seconds between two balances of one user at least: the newest is told, so that many gifts are no many messages."""


class Wallets:
    """Balances that are still to be told, of each session the newest: at once, or when its socket takes data again."""

    def __init__(self, sessions: Sessions, pacer: Pacer) -> None:
        self.due = 0.0
        self._sessions = sessions
        self._pacer = pacer
        self._untold: dict[Session, int] = {}

    def changed(self, user: str, coins: int, told: Session | None = None) -> None:
        """A user now has ``coins``, as the session ``told`` learns from its own reply."""
        for session in self._sessions.of(user):
            if session is told:
                self._untold.pop(session, None)
            elif session.identity.role != "overlay":
                self._untold[session] = coins
        if self._untold:
            self._pacer.mark(self)

    def flush(self, now: float) -> None:
        """Tell what can be told."""
        self.due = now + WALLET_INTERVAL
        untold, self._untold = self._untold, {}
        for session, coins in untold.items():
            if session.can_take:
                session.tell(RoomEvents("", 0, [WalletEvent(coins)]))
            elif not session.closing:
                self._untold[session] = coins
        if self._untold:
            self._pacer.mark(self)

    def dismiss(self) -> None:
        """A balance that is lost is told with the next change."""
