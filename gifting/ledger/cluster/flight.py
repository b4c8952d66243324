"""A call of ``debit`` in flight, said again until replicas hold it or its time is over."""

from __future__ import annotations

from msgspec import Struct

from gifting.ledger.cluster.debit_call import Asked, Debited
from gifting.ledger.commit import DUPLICATE, OK, PendingCommit


class Flight(Struct):
    """A call in flight: its gifts, until when it is tried, and what it has said so far without being held.

    ``sent`` says that it may have run.
    """

    batch: list[Asked]
    until: float
    sent: bool = False
    unheld: list[Debited] = []

    @property
    def items(self) -> list[PendingCommit]:
        return [asked.item for asked in self.batch]


def taken_in(said: Debited) -> set[int]:
    """The places of those that were taken in this call."""
    return {at for at, (how, status, *_) in enumerate(said.replies) if status == OK and how != DUPLICATE}
