"""The economy of one process: its providers, and all that is done with what they say."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from gifting.config import Settings
from gifting.economy.draft import Rules
from gifting.economy.payers.registry import make_payers
from gifting.economy.payers.sandbox import Sandbox as SandboxPayer
from gifting.economy.payers.sandbox_teller import Teller
from gifting.economy.payout_news import PayoutNews
from gifting.economy.payouts import Payouts
from gifting.economy.providers.registry import PLAY, Parts, make_providers
from gifting.economy.providers.sandbox.provider import Sandbox
from gifting.economy.providers.sandbox.sender import Address, Sender
from gifting.economy.purchases import Purchases
from gifting.economy.reconcile import Reconciliation
from gifting.economy.refunds import Refunds
from gifting.economy.reversals import Reversals
from gifting.economy.support import Support
from gifting.economy.withdrawals import Withdrawals
from gifting.ledger.ledger import Ledger
from gifting.ledger.lookup import Older, nothing_older
from gifting.model.standing import Standing
from gifting.rulebook import Rulebook

PLAY_MONEY: Final = "purchases are paid with play money: the sandbox takes payments, and nothing is charged"


class Economy:
    """``secrets`` gives those of the server, and ``older`` the gifts of which the ledger's streams have no more.

    Raises:
        BadSetting, MissingExtra: a provider lacks something.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        rulebook: Rulebook,
        secrets: Callable[[], Sequence[str]],
        older: Older = nothing_older,
    ) -> None:
        accounts = settings.gifting_kinds()

        def rules(standing: Standing) -> Rules:
            now = rulebook.rules
            return Rules(now.prices, now.regions.of(standing.region), accounts, settings.age_check)

        self._ledger = ledger
        parts = Parts(settings, ledger, secrets, lambda: rulebook.rules.prices)
        providers = make_providers(parts)
        self.purchases = Purchases(ledger, providers, rules)
        self.withdrawals = Withdrawals(ledger, self.purchases, lambda: secrets()[0])
        self.reversals = Reversals(ledger, self.purchases.tell, older)
        self.refunds = Refunds(ledger, self.purchases, self.withdrawals, self.reversals)
        self.support = Support(ledger, self.reversals)
        self.payouts = Payouts(ledger, make_payers(parts), lambda: rulebook.rules.creators)
        self.payout_news = PayoutNews(ledger, self.payouts)
        self.reconciliation = Reconciliation(
            ledger, settings, self.purchases, self.refunds, self.reversals, self.support, self.payouts
        )
        found = providers.get(PLAY)
        self.sandbox = found if isinstance(found, Sandbox) else None
        self.sender: Sender | None = None

    def works(self, address: Address) -> dict[str, Coroutine[Any, Any, None]]:
        """What has to be done for ever, by name; ``address`` is this server's own."""
        works: dict[str, Coroutine[Any, Any, None]] = {}
        if self.purchases.providers or self.payouts.payers:
            works["reconciliation"] = self.reconciliation.run()
        if self.sandbox is not None:
            self.sender = Sender(self.sandbox, address, self._ledger.now_ms)
            works["sandbox"] = self.sender.run()
        payer = self.payouts.payers.get(PLAY)
        if isinstance(payer, SandboxPayer):
            works["sandbox_payouts"] = Teller(payer, self._ledger, address).run()
        return works

    async def webhook(self, name: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Take a webhook, of payouts if the payer of that name signed it; for how many orders, payouts or creators it
        was news. Raises what :meth:`Purchases.webhook` and :meth:`PayoutNews.webhook` do.
        """
        if self.payout_news.is_of(name, body, headers, alone=name not in self.purchases.providers):
            return await self.payout_news.webhook(name, body, headers)
        return await self.purchases.webhook(name, body, headers)

    async def close(self) -> None:
        """Let go of all providers."""
        for provider in self.purchases.providers.values():
            await provider.close()
        for payer in self.payouts.payers.values():
            await payer.close()
