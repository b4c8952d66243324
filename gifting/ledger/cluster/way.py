"""What all lanes of a batcher share."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from gifting.ledger.cluster.asked import AskedRooms
from gifting.ledger.cluster.late import Late
from gifting.ledger.cluster.links import Links
from gifting.ledger.counts import Counts


class Way(Struct, frozen=True):
    """What all lanes of a batcher share. ``halted`` is called when a script has failed, ``settled`` when something has
    ended. ``gifts_max``: how many gifts may wait for one partition of hosts. ``late`` knows what
    came of what was pending.
    """

    links: Links
    rooms: AskedRooms
    counts: Counts
    batch_max: int
    timeout: float
    halted: Callable[[str], None]
    settled: Callable[[], None]
    gifts_max: int
    late: Late
