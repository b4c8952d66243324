"""How far creators' identities are verified, as those know it who pay them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from gifting.economy.payers.base import Payer
from gifting.errors import GiftingError, ProviderFailed
from gifting.ledger.ledger import Ledger
from gifting.model.creator import CreatorRecord, Kyc

log = logging.getLogger(__name__)

ATTEMPTS: Final = 10
"""Times that a payer is asked until it says what is known already."""


class Identities:
    """Of all creators whose destination is with one of ``payers``."""

    def __init__(self, ledger: Ledger, payers: Mapping[str, Payer]) -> None:
        self._creators = ledger.creators
        self._payers = payers

    async def ask(self, host: str, provider: str = "", account: str = "") -> bool:
        """Write down what the payer knows now of whoever has the creator's account; whether it was news.

        ``provider`` and ``account``: the destination of which it was heard, if it was; any other one is left alone.
        The last that is done is always to ask: so it is true in the end, in whatever order webhooks come, and however
        many processes do this at once. Raises ProviderFailed, Unavailable, Conflict.
        """
        changed = False
        for _ in range(ATTEMPTS):
            to = (await self._creators.read(host)).record.destination
            payer = self._payers.get(to.provider) if to else None
            if to is None or payer is None or (provider and (to.provider, to.account) != (provider, account)):
                return changed
            kyc = await payer.identity(host, to) if payer.takes(to.account) else "none"
            if kyc is None or not await self._note(host, to.account, payer.name, kyc):
                return changed
            changed = True
        raise ProviderFailed(f"What {provider or 'the payer'} says of {host} changes all the time.")

    async def look(self, host: str) -> bool:
        """The same where it may as well be asked later: a failure is logged."""
        try:
            return await self.ask(host)
        except GiftingError as error:
            log.warning("nobody knows now who %s is: %s", host, error)
            return False

    async def _note(self, host: str, account: str, payer: str, kyc: Kyc) -> bool:
        news: list[bool] = []

        def rule(record: CreatorRecord) -> CreatorRecord:
            """Who was rejected stays so until an operator says otherwise."""
            to = record.destination
            stands = record.kyc in (kyc, "rejected") or to is None or (to.provider, to.account) != (payer, account)
            news[:] = [not stands]
            return record if stands else replace(record, kyc=kyc)

        await self._creators.change(host, rule, what="kyc", value=f"{kyc}: {account}", by=payer)
        return news[0]
