"""Which history a room is in: on a Redis Cluster a failover may lose the newest events that some have seen."""

from __future__ import annotations

from typing import NamedTuple


class Lineage(NamedTuple):
    """A room's last ``seq``, and its epochs: each a number that grows, and the seq up to which it took over what was.

    The last is the one that it is in. There are none where nothing is ever lost, as on one Redis; of very many the
    oldest are forgotten.
    """

    seq: int
    epochs: tuple[tuple[int, int], ...] = ()

    def knows(self, epoch: int) -> bool:
        return any(epoch == known for known, _ in self.epochs)

    def keeps(self, epoch: int, seq: int) -> bool:
        """Whether all that was told up to ``seq`` in ``epoch`` is still what the room's log says."""
        if not (self.epochs and seq):
            return True
        return self.knows(epoch) and all(seq <= base for later, base in self.epochs if later > epoch)

    def has(self, epoch: int, seq: int) -> bool:
        """:meth:`keeps`, and nothing was told that the room does not have, or not yet."""
        return seq <= self.seq and self.keeps(epoch, seq)
