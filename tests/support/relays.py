"""Relays of a ledger's own, as other nodes have them, and a node that leaves all to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gifting.ledger.cluster.batcher import ClusterBatcher
from gifting.ledger.cluster.keeping import Keeping
from gifting.ledger.cluster.relay import Relay
from gifting.ledger.cluster.said import Said
from gifting.ledger.engine import ClusterEngine
from tests.support.shop import Shop


def engine_of(shop: Shop) -> ClusterEngine:
    assert isinstance(shop.ledger.engine, ClusterEngine)
    return shop.ledger.engine


def keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outboxes of ledgers to come keep nothing that is credited, whatever their nodes ask for."""
    for name in ("trimmer.SLACK", "keeping.USUAL"):
        monkeypatch.setattr(f"gifting.ledger.cluster.{name}", 0)
    monkeypatch.setattr(Keeping, "learn", lambda *_: None)


def die_after_debits(shop: Shop) -> None:
    """From now on the node is dead to its gifts once they are debited."""
    batcher = shop.ledger.batcher
    assert isinstance(batcher, ClusterBatcher)
    for lane in batcher._credits:
        lane.append = lambda parcel: None  # type: ignore[method-assign]


@contextmanager
def nobody_credits(shop: Shop) -> Iterator[None]:
    """All nodes die after their debits."""
    batcher = shop.ledger.batcher
    assert isinstance(batcher, ClusterBatcher)
    with pytest.MonkeyPatch.context() as dead:
        dead.setattr(shop.relay, "round", lambda: asyncio.sleep(0))
        for lane in batcher._credits:
            dead.setattr(lane, "append", lambda parcel: None)
        yield


def another_relay(shop: Shop) -> Relay:
    """As another node has it."""
    engine, batcher = engine_of(shop), shop.ledger.batcher
    assert isinstance(batcher, ClusterBatcher)
    made = Relay(shop.ledger.redis, shop.ledger.keys, engine.checks.keeping)
    made.use(Said(engine.links, engine.keys, batcher.debit_calls, batcher.credit_calls, 5.0, shop.ledger.halt.pull))
    return made
