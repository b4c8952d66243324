"""What an op costs beyond the one message that its frame costs, in messages of the allowance: one table for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gifting.wire import messages
from gifting.wire.messages import Message

COSTS: Final[Mapping[type[Message], float]] = {
    messages.Comment: 1,
    messages.Share: 1,
    messages.Follow: 1,
    messages.GiftStatus: 1,
    messages.Join: 2,
    messages.Refresh: 2,
}
"""A gift, a like, a ping and a leave cost their frame alone. What shows in the room costs more, and so does what makes
work: a question to the ledger, a join for its snapshot, a refresh for its signature."""
