"""Lane ``live``: what of a burst a viewer needs to see. Pure.

``repeat_count`` is cumulative, so a step of a streak that is left out loses nothing; the totals ride along.
"""

from __future__ import annotations

from collections.abc import Iterable

from gifting.wire.batch import IndexEntry, RoomBatch

_Found = tuple[IndexEntry, RoomBatch]
"""An event, and the batch that has its bytes."""


def conflate(batches: Iterable[RoomBatch], top: int, shown: set[int]) -> list[bytes]:
    """Of every streak the newest event; of these the ``top`` heaviest; the newest ``top`` other events; and every one
    that removes another. In order.

    ``shown`` holds the streaks that this lane has been shown and not yet seen end: the end of one of them is always
    kept, so that no combo counter hangs. It is updated in place and is bounded by the room's open streaks.
    """
    gifts: dict[int, _Found] = {}
    others: list[_Found] = []
    removing: list[_Found] = []
    for batch in batches:
        for entry in batch.entries():
            if entry.streak:
                gifts[entry.streak] = (entry, batch)
            elif entry.weight:
                removing.append((entry, batch))
            else:
                others.append((entry, batch))
    kept = [*gifts.values()] if len(gifts) <= top else _heaviest(gifts.values(), top, shown)
    kept += others[-top:] + removing
    kept.sort(key=lambda found: found[0].seq)
    for entry, _ in kept:
        if entry.closes:
            shown.discard(entry.streak)
        elif entry.streak:
            shown.add(entry.streak)
    return [batch.events[entry.start : entry.end] for entry, batch in kept]


def _heaviest(gifts: Iterable[_Found], top: int, shown: set[int]) -> list[_Found]:
    """The ``top`` heaviest, and the ends of what is ``shown``."""
    heaviest = sorted(gifts, key=lambda found: found[0].weight, reverse=True)
    return heaviest[:top] + [found for found in heaviest[top:] if found[0].closes and found[0].streak in shown]
