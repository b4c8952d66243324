"""Gifts that are debited and not yet credited: what one call of ``debit`` has for one partition of hosts.

Each is told once: as credited, or, where that takes longer than :data:`PENDING_AFTER`, as pending.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gifting import errors
from gifting.ledger.cluster.credit_call import Blob
from gifting.ledger.cluster.debit_call import Completion
from gifting.ledger.cluster.fields import key_of
from gifting.ledger.commit import PendingCommit, tell
from gifting.ledger.counts import Counts
from gifting.model.values import Result

PENDING_AFTER: Final = 1.0
"""Seconds after a gift's debit until its sender is told that it is pending."""


class Paid(Struct):
    """A gift that was debited, for the first time: as :class:`Result` has it, and whether its sender knows."""

    item: PendingCommit
    notice: int
    coins: int
    told: bool = False


class Parcel(Struct, eq=False):
    """What is to be credited together, in the partition with the number ``to``. ``credited`` is called once it has
    been, with what completes the kept results.

    ``since`` is when its debit was known to hold (monotonic seconds); ``reached`` the epoch up to which its source is
    credited there, by the last that was said.
    """

    to: int
    blob: Blob
    gifts: list[Paid]
    since: float
    credited: Callable[[Parcel, Sequence[Completion]], None]
    reached: int = 0

    def tell_results(self, results: Sequence[int], counts: Counts) -> None:
        """As ``credit`` says them: seq, repeat_count and streak of each gift, one after another."""
        completions = list[Completion]()
        numbers = iter(results)
        for paid, seq, repeat_count, streak in zip(self.gifts, numbers, numbers, numbers, strict=True):
            item = paid.item
            assert item.sender is not None
            completions.append(Completion(item.sender, key_of(item.fields), seq, repeat_count, streak))
            self._tell(paid, Result(False, seq, paid.coins, repeat_count, streak, paid.notice), counts)
        self.credited(self, completions)

    def tell_credited(self, counts: Counts) -> None:
        """It is credited, and what came of it is known by its event only."""
        self.tell_pending(counts)
        self.credited(self, ())

    def tell_pending(self, counts: Counts) -> None:
        """Who does not know more by now is told that the gift is paid."""
        for paid in self.gifts:
            self._tell(paid, Result(False, 0, paid.coins, 0, 0, paid.notice, pending=True), counts)

    def tell_unknown(self, counts: Counts) -> None:
        """Its debit was lost after it had held."""
        for paid in self.gifts:
            self._tell(paid, errors.OutcomeUnknown(), counts)

    def _tell(self, paid: Paid, outcome: Result | errors.GiftingError, counts: Counts) -> None:
        if not paid.told:
            paid.told = True
            counts.note(paid.item)
            tell(paid.item, outcome)
