"""A gift is reversed: its coins go back to who sent it, then its host's side follows, and the sender is told.

Once for ever, whoever asks and however often. What breaks off after the first step is finished by the same request, or
by the reconciliation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gifting.errors import GiftNotFound, LedgerUnavailable, NotReversible, OutcomeUnknown
from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.ledger import Ledger
from gifting.ledger.lookup import Older, nothing_older
from gifting.model.money import parse_key
from gifting.model.reversals import Given, Reversal

log = logging.getLogger(__name__)


class Reversals:
    """Of all gifts. ``tell`` tells a user's sockets what there is now."""

    def __init__(self, ledger: Ledger, tell: Callable[[str], Awaitable[None]], older: Older = nothing_older) -> None:
        self._ledger = ledger
        self._tell = tell
        self._older = older
        self._finishing = asyncio.Lock()

    async def reverse(self, user: str, gift_key: str, by: str, reason: str, about: str = "") -> Reversal:
        """Reverse the gift that ``user`` sent with a key; again gives what was done then, by whomever.

        Args:
            about: the support case or the order that it is done for, if any.

        Raises:
            BadKey
            GiftNotFound: nothing was ever taken under this key.
            NotReversible: it was begun, of another gift than the ledger has under the key.
            OutcomeUnknown: the ledger has half of the gift, or can't be read so far back.
            Unavailable: it may be half done; asked again, it goes on.
        """
        key = parse_key(gift_key)
        one = await self._ledger.reversals.find(user, key)
        if one is not None:
            return await self.finish(one)
        given = await self.find(user, key)
        one = await self._ledger.reversals.give_back(given, by, reason, about, self._ledger.now_ms())
        log.warning("%s reverses gift %s of %s: %s", by, gift_key, user, reason)
        return await self.finish(one, given)

    async def finish(self, one: Reversal, given: Given | None = None) -> Reversal:
        """Do what is left of a reversal, by the gift as the ledger has it; again it gives what was done then.

        Raises:
            NotReversible: what is kept of it is not that gift: nothing more is taken of anybody.
            GiftNotFound, OutcomeUnknown, Unavailable: it may be half done.
        """
        if one.done_at:
            return one
        async with self._finishing:  # of one user one gift is looked for at a time
            given = given or await self.find(one.given.user, one.given.key)
        if one.given != given:
            log.error("the reversal of gift %s of %s is of another: %s", one.given.key.hex(), one.given.user, one.given)
            raise NotReversible("What is kept of this reversal is not the gift; the operator must look.")
        await self._tell(given.user)
        return await self._ledger.reversals.take_from_host(one, self._ledger.now_ms())

    async def find(self, user: str, key: bytes) -> Given:
        """A user's gift, without limit of time. Raises GiftNotFound, OutcomeUnknown, Unavailable."""
        try:
            found = await self._ledger.lookup.given(user, key)
        except OutcomeUnknown:
            if (found := await self._older(user, key)) is None:
                raise
        except REDIS_ERRORS:
            raise LedgerUnavailable from None
        if found is None:
            raise GiftNotFound
        return found
