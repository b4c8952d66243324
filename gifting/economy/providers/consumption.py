"""What a store is told when it asks whether to refund: how much of a purchase was used up, and what we would do."""

from __future__ import annotations

from gifting.economy.providers.base import Facts
from gifting.model.effects import WHOLE
from gifting.model.orders import part


def consumed(facts: Facts) -> int:
    """The share of the order's coins that is spent, of :data:`WHOLE`; rounded down, so never more than is true."""
    coins = facts.order.coins + facts.order.bonus
    unspent = max(0, min(facts.unspent, coins))
    return part(coins - unspent, WHOLE, coins) if coins else 0
