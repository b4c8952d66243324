"""What is said to a room is looked at before it is shown: some of it waits for the host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from gifting.errors import GiftingError
from gifting.ledger.ledger import Ledger
from gifting.model.moderation import Reason
from gifting.model.standing import AGE_MAX
from gifting.model.values import Done, Outcome, Result, RoomRef, Sender
from gifting.rulebook import Rulebook

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Moderating:
    """By the rules in force. ``spawn`` runs what nobody waits for."""

    def __init__(self, ledger: Ledger, rulebook: Rulebook, spawn: Spawn) -> None:
        self._ledger = ledger
        self._rulebook = rulebook
        self._spawn = spawn

    def why(self, room: RoomRef, user: str, text: str | None) -> Reason | None:
        """Why what a user says there has to wait; None: it has not. Hosts say what they like."""
        return None if not text or user == room.host else self._rulebook.rules.moderation.look(text)

    def with_gift(self, sender: Sender, room: RoomRef, text: str, why: Reason, done: Done) -> Done:
        """``done`` of a gift that is sent without its words: once it is taken, these wait as a comment does."""

        def taken(outcome: Outcome) -> None:
            if isinstance(outcome, Result) and not outcome.duplicate:
                self._spawn(self._hold(sender, room, text, why))
            done(outcome)

        return taken

    async def _hold(self, sender: Sender, room: RoomRef, text: str, why: Reason) -> None:
        """The gift has passed the room's rules of age; who may not comment has said nothing with it."""
        try:
            await self._ledger.held.hold(room, sender, text, why, AGE_MAX)
        except GiftingError as error:
            log.info("room %s: what was said with a gift is not held: %s", room.id, error.code)
