"""Lane ``live``: what of a burst a viewer needs to see. Pure.

``repeat_count`` is cumulative, so a step of a streak that is left out loses nothing; the totals ride along.
"""

from __future__ import annotations

from collections.abc import Iterable

from gifting.wire.batch import IndexEntry, RoomBatch


def conflate(batches: Iterable[RoomBatch], top: int, shown: set[int]) -> list[bytes]:
    """Of every streak the newest event; of these the ``top`` heaviest; and the newest ``top`` other events. In order.

    ``shown`` holds the streaks that this lane has been shown and not yet seen end: the end of one of them is always
    kept, so that no combo counter hangs. It is updated in place and is bounded by the room's open streaks.
    """
    gifts: dict[int, tuple[IndexEntry, RoomBatch]] = {}
    others: list[tuple[IndexEntry, RoomBatch]] = []
    for batch in batches:
        for entry in batch.entries():
            if entry.streak:
                gifts[entry.streak] = (entry, batch)
            else:
                others.append((entry, batch))
    heaviest = sorted(gifts.values(), key=lambda pair: pair[0].weight, reverse=True)
    ends = [pair for pair in heaviest[top:] if pair[0].closes and pair[0].streak in shown]
    kept = heaviest[:top] + ends + others[-top:]
    kept.sort(key=lambda pair: pair[0].seq)
    for entry, _ in kept:
        if entry.closes:
            shown.discard(entry.streak)
        elif entry.streak:
            shown.add(entry.streak)
    return [batch.events[entry.start : entry.end] for entry, batch in kept]
