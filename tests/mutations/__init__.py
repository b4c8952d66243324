"""The list for ``tests/mutants.py``: what is changed, and which tests must notice."""

from __future__ import annotations

from tests.mutations import (
    acts,
    archiving,
    audit,
    batcher,
    checkpoint,
    connection,
    disk,
    fanout,
    finance,
    giving,
    history,
    house,
    hub,
    lua,
    orders,
    payouts,
    prices,
    protection,
    purchases,
    room_logs,
    seals,
    spending,
    statements,
    stores,
    stripe_payouts,
    trimming,
)
from tests.mutations.mutant import Mutant

__all__ = ["ALL", "Mutant"]

ALL = (
    *lua.MUTANTS,
    *batcher.MUTANTS,
    *connection.MUTANTS,
    *fanout.MUTANTS,
    *hub.MUTANTS,
    *house.MUTANTS,
    *disk.MUTANTS,
    *audit.MUTANTS,
    *acts.MUTANTS,
    *room_logs.MUTANTS,
    *archiving.MUTANTS,
    *seals.MUTANTS,
    *checkpoint.MUTANTS,
    *orders.MUTANTS,
    *payouts.MUTANTS,
    *finance.MUTANTS,
    *stores.MUTANTS,
    *prices.MUTANTS,
    *protection.MUTANTS,
    *purchases.MUTANTS,
    *giving.MUTANTS,
    *spending.MUTANTS,
    *statements.MUTANTS,
    *stripe_payouts.MUTANTS,
    *trimming.MUTANTS,
    *history.MUTANTS,
)
