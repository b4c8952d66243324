"""What the demo shows: where to look, and how it goes; a table in a terminal of any width, else a line a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gifting.demo.cast import STAGES, Tally
from gifting.demo.cluster import Shards
from gifting.demo.purse import Till
from gifting.model.currencies import Money
from gifting.web.front import ShortLink

WIDE: Final = 72
"""Columns from which the ranking stands in the table."""

TOP: Final = 3
"""Senders shown of a room's ranking."""

Snapshots = Mapping[str, Mapping[str, Any]]
"""Each room's, as the server tells it to its pages too."""


def where_to_look(url: str, links: Sequence[ShortLink]) -> Iterator[str]:
    """Lines with addresses, none wider than 50 columns."""
    yield f"All links: {url}/"
    room = ""
    for link in links:
        if link.room != room:
            room = link.room
            yield room
        yield f"  {link.label:<8} {url}{link.path}"


def looks(seconds: float, every: float, clock: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """What to sleep before each look, for ``seconds``, or for ever if 0.

    The last is the one nearest to the end, since a loop's sleep may be a little short: one more would come of that.
    """
    ends = clock() + (seconds or math.inf)
    while clock() + every / 2 < ends:
        yield every


class Rates:
    """Per second, since the last look."""

    def __init__(self) -> None:
        self._gifts = self._deliveries = 0
        self._at = time.monotonic()

    def measure(self, tally: Tally) -> tuple[float, float]:
        """Gifts and deliveries."""
        gifts, deliveries, now = tally.gifts.total(), tally.deliveries, time.monotonic()
        span = max(now - self._at, 1e-3)
        rates = (gifts - self._gifts) / span, (deliveries - self._deliveries) / span
        self._gifts, self._deliveries, self._at = gifts, deliveries, now
        return rates


def as_line(tally: Tally, rates: tuple[float, float], rooms: Snapshots, shards: Shards | None = None) -> str:
    """How it goes in one line, for where there is no terminal."""
    watching = " + ".join(str(room["viewers"]) for room in rooms.values())
    now, how = time.strftime("%H:%M:%S"), f"{_bought(tally.till)}, {_summary(tally, rates)}"
    cluster = "".join(f", {line}" for line in _cluster(shards))
    return f"{now} {tally.gifts.total():,} gifts, {watching} watching, {how}{cluster}"


def as_table(
    tally: Tally, rates: tuple[float, float], rooms: Snapshots, width: int, shards: Shards | None = None
) -> RenderableType:
    """How it goes in ``width`` columns."""
    table = Table(box=None, pad_edge=False, expand=False)
    table.add_column("room", no_wrap=True)
    for name in ("watching", "gifts", "coins"):
        table.add_column(name, justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("top senders", no_wrap=True, overflow="ellipsis", ratio=1)
    for stage in STAGES:
        room = rooms[stage.room]
        cells = [stage.room, f"{room['viewers']:,}", f"{tally.gifts[stage.room]:,}", f"{room['coins']:,}"]
        table.add_row(*map(Text, cells), *([Text(_ranking(room))] if width >= WIDE else []))
    below = [] if width >= WIDE else [Text(f"{stage.short}: {_ranking(rooms[stage.room])}") for stage in STAGES]
    return Group(
        table,
        *below,
        Text(f"play money: {_bought(tally.till)}"),
        Text(_summary(tally, rates)),
        *map(Text, _cluster(shards)),
        Text(f"{'k kills a master. ' if shards else ''}Ctrl-C stops it.", style="dim"),
    )


def _cluster(shards: Shards | None) -> Iterator[str]:
    """How it goes with the cluster, if the demo runs on one."""
    if shards is None:
        return
    yield f"cluster: {shards.masters} masters, {shards.replicas} replicas, {shards.kept} calls in the outboxes"
    if failed := shards.failover:
        told = (("replaced", failed.replaced), ("first gift acked", failed.acked), ("back as a replica", failed.back))
        parts = [f"{what} after {after:.1f} s" if after is not None else f"{what} …" for what, after in told]
        yield f"master of {failed.room} killed at {failed.at}: {', '.join(parts)}"


def _ranking(room: Mapping[str, Any]) -> str:
    top = [f"{one['user']['name'] or one['user']['id']} {one['coins']:,}" for one in room["top"][:TOP]]
    return ", ".join(top) or "nobody yet"


def _bought(till: Till) -> str:
    money = " and ".join(str(Money(amount, currency)) for currency, amount in till.money.items())
    return f"{till.purchases:,} purchases, {till.coins:,} coins for {money or 'nothing'}"


def _summary(tally: Tally, rates: tuple[float, float]) -> str:
    p50, p99 = map(tally.latency.percentile, (50, 99))
    errors = ", ".join(f"{count} {code}" for code, count in tally.errors.most_common()) or "no errors"
    return f"{rates[0]:.0f} gifts/s, {rates[1]:.0f} deliveries/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {errors}"


def open_console() -> Console:
    """The terminal, or whatever stdout is."""
    return Console(highlight=False, markup=False)
