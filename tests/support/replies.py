"""What the commit script itself says: of refusals too, of which the ledger tells only the error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from gifting.ledger import flights
from gifting.ledger.commit import RawReply, Reply, read_replies


@contextmanager
def script_replies() -> Iterator[list[Reply]]:
    """The script's replies to all items committed meanwhile, in order."""
    said: list[Reply] = []

    def read(reply: bytes, count: int) -> Sequence[RawReply]:
        found = read_replies(reply, count)
        said.extend(Reply(*values) for values in found)
        return found

    with patch.object(flights, "read_replies", read):
        yield said
