"""Support cases are decided, then that is carried out: the same request again goes on where it broke off, and so
does the reconciliation.
"""

from __future__ import annotations

from gifting.economy.reversals import Reversals
from gifting.errors import NotReversible
from gifting.ledger.ledger import Ledger
from gifting.model.cases import Case, Decision


class Support:
    """Of all users."""

    def __init__(self, ledger: Ledger, reversals: Reversals) -> None:
        self._ledger = ledger
        self._reversals = reversals

    async def resolve(self, case_id: str, decision: Decision) -> Case:
        """Decide a case, durably, and then reverse its gift if that is the outcome.

        Raises:
            CaseNotFound
            CaseClosed: it was decided otherwise.
            NotReversible: it is about no gift.
            OutcomeUnknown, Unavailable: it is decided; asked again, what is left is done.
        """
        cases = self._ledger.cases
        if decision.outcome == "reversed" and not (await cases.find(case_id)).gift:
            raise NotReversible("The case is about an order; its provider refunds that.")
        return await self.finish(await cases.decide(case_id, decision))

    async def finish(self, case: Case) -> Case:
        """Do what is decided of a case, if it is not done. Raises as :meth:`resolve`."""
        if case.closed:
            return case
        await self._reversals.reverse(case.user, case.gift, case.by, case.reason, case.id)
        return await self._ledger.cases.finish(case.id, self._ledger.now_ms())
