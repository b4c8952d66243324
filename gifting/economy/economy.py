"""The economy of one process: its providers, and all that is done with what they say."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from gifting.config import Settings
from gifting.economy.draft import Rules
from gifting.economy.payers.registry import make_payers
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
        providers = make_providers(Parts(settings, ledger, secrets, lambda: rulebook.rules.prices))
        self.purchases = Purchases(ledger, providers, rules)
        self.withdrawals = Withdrawals(ledger, self.purchases, lambda: secrets()[0])
        self.reversals = Reversals(ledger, self.purchases.tell, older)
        self.refunds = Refunds(ledger, self.purchases, self.withdrawals, self.reversals)
        self.support = Support(ledger, self.reversals)
        self.payouts = Payouts(ledger, make_payers(settings, ledger), lambda: rulebook.rules.creators)
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
        return works

    async def close(self) -> None:
        """Let go of all providers."""
        for provider in self.purchases.providers.values():
            await provider.close()
        for payer in self.payouts.payers.values():
            await payer.close()
