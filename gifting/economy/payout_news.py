"""Webhooks about payouts and creators' accounts: each says that something happened, and the payer is asked what."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from gifting.economy.payers.base import News, Payer
from gifting.economy.payouts import Payouts
from gifting.economy.providers.base import Reason, refused
from gifting.errors import BadWebhook
from gifting.ledger.ledger import Ledger

log = logging.getLogger(__name__)


class PayoutNews:
    """Of all payers."""

    def __init__(self, ledger: Ledger, payouts: Payouts) -> None:
        self._ledger = ledger
        self._payouts = payouts
        self.refused: Counter[str] = Counter()
        """Webhooks, by reason."""

    def is_of(self, name: str, body: bytes, headers: Mapping[str, str], *, alone: bool) -> bool:
        """Whether a webhook is a payer's: it is signed by it, or there is nobody else (``alone``) of its name."""
        payer = self._payouts.payers.get(name)
        if payer is None or alone:
            return payer is not None
        try:
            return payer.signed(body, headers)
        except BadWebhook:  # by nobody
            return False

    async def webhook(self, name: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Take a webhook of a payer's; for how many payouts or creators it was news.

        Raises:
            BadWebhook: it is not believed; counted by reason.
            PayoutNotFound, ProviderFailed, Unavailable, Conflict: it must be sent again.
        """
        payer = self._payouts.payers[name]
        try:
            told = await payer.verify(body, headers, self._ledger.creators.now_ms())
            return sum([await self._take(payer, one) for one in told])
        except BadWebhook as error:
            self.refused[error.reason] += 1
            log.warning("a webhook of %s is refused as %s: %s", name, error.reason, error)
            raise

    async def _take(self, payer: Payer, news: News) -> bool:
        if news.creator:
            return await self._payouts.identities.ask(news.creator, payer.name, news.account)
        payout = await self._ledger.payouts.get(news.payout)
        if (payout.provider, payout.account) != (payer.name, news.account):
            raise refused(Reason.FOREIGN, f"Payout {payout.id} goes to {payout.account}, and not to {news.account}.")
        return await self._payouts.look(payer, payout)
