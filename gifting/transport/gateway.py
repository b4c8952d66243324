"""The gateway: what the connections of one process have in common, and who watches over them."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Final

from gifting.config import Settings
from gifting.errors import BadToken, GiftingError, Unavailable
from gifting.hub.hub import Hub
from gifting.hub.limits import Limits, Rates
from gifting.hub.meter import Meter
from gifting.ledger.ledger import Ledger
from gifting.ledger.notices import Notice
from gifting.logs import Refusals
from gifting.model.events import BudgetEvent, ReminderEvent
from gifting.model.values import Result, Sender
from gifting.rulebook import Rulebook
from gifting.tasks import end
from gifting.transport.authentication import Authenticator
from gifting.transport.giving import Giving
from gifting.transport.lobby import Lobby
from gifting.transport.moderating import Moderating
from gifting.transport.notices import Notices
from gifting.transport.outgoing import Outgoing
from gifting.transport.permits import Permits
from gifting.transport.reminders import Reminders
from gifting.transport.session import Session
from gifting.transport.sessions import Sessions
from gifting.transport.throttle import Throttle
from gifting.transport.wallets import Wallets
from gifting.wire.close import CloseCode
from gifting.wire.keyring import Keyring

log = logging.getLogger(__name__)

INSPECTED_AT_ONCE: Final = 500
"""Sessions looked at before others get their turn: below half a millisecond."""

DRAIN_JITTER: Final = 3.0
"""Seconds over which clients of a stopping server should spread their coming back."""


class Gateway:
    """All sessions of one process, and what they work with; everything here runs on one event loop.

    Without a ``rulebook`` it has one of its own.
    """

    def __init__(
        self, ledger: Ledger, hub: Hub, settings: Settings, keyring: Keyring, rulebook: Rulebook | None = None
    ) -> None:
        self.ledger = ledger
        self.hub = hub
        self.settings = settings
        self.origins = settings.allowed_origins()
        self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self.authenticator = Authenticator(keyring, ledger.revocations, settings)
        rulebook = rulebook or Rulebook(settings)
        self.permits = Permits(settings, rulebook)
        rulebook.follow(lambda rules: self._forget_senders())
        self.moderating = Moderating(ledger, rulebook, self.spawn)
        self.giving = Giving(ledger, self.moderating, lambda: self.authenticator.keyring, self.permits.price)
        rates = Rates(settings.message_rate, settings.message_burst, settings.byte_rate, settings.byte_burst)
        self.limits = Limits(rates, settings.user_connections)
        self.refusals = Refusals(hub.counters.refusals, self.time)
        self.lobby = Lobby(settings, self.time, self.refusals)
        self.throttle = Throttle(self.loop, settings.flood_timeout)
        self.likes = Meter(settings.like_rate, settings.like_burst)
        self.posts = Meter(settings.comment_rate, settings.comment_burst)
        self.sessions = Sessions()
        self.wallets = Wallets(self.sessions, hub.pacer)
        self.notices = Notices(self.sessions, hub.pacer)
        self.reminders = Reminders(self.sessions, self.notices, ledger)
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that ends with the process, if it does not before."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Sessions.

    def enter(self, connection: Outgoing, token: str, *, in_url: bool) -> Session:
        """A session for a connection. Raises what a token, or one more connection of its user, is refused for."""
        identity = self.authenticator.authenticate(token, in_url=in_url)
        session = Session(connection, self.hub, identity, self.limits.enter(identity, self.time()))
        self.sessions.add(session)
        return session

    def leave(self, session: Session) -> None:
        session.unsubscribe_all()
        self.sessions.discard(session)
        self.limits.leave(session.identity)

    def refresh(self, session: Session, token: str) -> None:
        """Give a session a newer token. Raises BadToken if it is somebody else's."""
        new, old = self.authenticator.authenticate(token), session.identity
        if (new.user, new.role, new.room) != (old.user, old.role, old.room):
            raise BadToken("A refresh keeps user, role and room.")
        session.identity = new
        session.sender = None

    def sender_of(self, session: Session) -> Sender:
        if session.sender is None:
            identity = session.identity
            terms = self.permits.terms(identity.standing)
            session.sender = self.ledger.gifts.sender(identity.user, identity.public(), terms)
        return session.sender

    def given(self, user: str, result: Result) -> None:
        """A user's gift was taken: what protects the user is told, after the reply."""
        if result.duplicate:
            return
        self.reminders.gave(user, self.time())
        if result.notice:
            self.tell(Notice(user, BudgetEvent(result.notice)))

    def tell(self, notice: Notice) -> None:
        """To the user's sockets, on whichever process they are."""
        self.spawn(self._tell_all(notice))

    async def _tell_all(self, notice: Notice) -> None:
        """Those who are here are told in any case."""
        try:
            await self.ledger.notices.publish(notice)
        except Unavailable:
            self.notices.tell(notice.user, notice.event)

    def heard(self, notice: Notice) -> None:
        """What was told to all processes."""
        if isinstance(notice.event, ReminderEvent):
            self.reminders.heard(notice, self.time())
        else:
            self.notices.tell(notice.user, notice.event)

    def _forget_senders(self) -> None:
        for session in self.sessions:
            session.sender = None

    def rekey(self, keyring: Keyring) -> None:
        """Believe these keys from now on. Who is here by another is closed; everybody else stays."""
        if self.authenticator.rekey(keyring):
            self.spawn(self.close_revoked())

    # Regular work.

    async def watch(self, interval: float = 1.0) -> None:
        """For ever: close what is over: by its token, by silence, by slowness."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.ledger.bans.sync()
                if await self.authenticator.sync():
                    await self.close_revoked()
                await self.reminders.look(self.time())
            except GiftingError as error:
                log.warning("can't read who is banned, whose token is revoked, or what was spent: %s", error)
            await self._inspect()

    async def _slices(self) -> AsyncIterator[Sequence[Session]]:
        """All sessions, so many at a time that no gift waits for all to be looked at."""
        sessions = tuple(self.sessions)
        for start in range(0, len(sessions), INSPECTED_AT_ONCE):
            yield sessions[start : start + INSPECTED_AT_ONCE]
            await asyncio.sleep(0)

    async def close_revoked(self) -> None:
        """Close every session whose token, or its key, is good no longer.

        Called when more are revoked: who comes later is not let in.
        """
        async for sessions in self._slices():
            for session in sessions:
                if self.authenticator.revoked(session.identity):
                    session.close(CloseCode.TOKEN_REVOKED)

    async def _inspect(self) -> None:
        async for sessions in self._slices():
            now, wall = self.time(), time.time()
            for session in sessions:
                if session.identity.expires <= wall:
                    session.close(CloseCode.TOKEN_EXPIRED)
                else:
                    self._inspect_connection(session.connection, now)

    def _inspect_connection(self, connection: Outgoing, now: float) -> None:
        settings, silence = self.settings, now - connection.heard_at
        if connection.paused_at is not None:
            if now - connection.paused_at > settings.slow_timeout:
                connection.close(CloseCode.TOO_SLOW)
        elif connection.pinged and silence > settings.ping_interval + settings.ping_timeout:
            connection.close(CloseCode.PING_TIMEOUT)
        elif not connection.pinged and silence > settings.ping_interval and not connection.closing:
            connection.ping()

    async def drain(self, timeout: float) -> None:
        """Close every session with a reconnect code and a hint how long to wait, and wait until they are gone."""
        for session in tuple(self.sessions):
            delay = round(random.uniform(0, DRAIN_JITTER), 2)  # noqa: S311
            session.connection.close(CloseCode.SERVER_SHUTDOWN, f"retry in {delay} s")
        deadline = self.time() + timeout
        while self.sessions and self.time() < deadline:
            await asyncio.sleep(0.02)
        for session in tuple(self.sessions):
            session.connection.abort()

    async def stop(self) -> None:
        self.throttle.stop()
        await end(self._tasks)
