"""The economy of one process over a world: purchases at the sandbox, what users have, and who dies in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gifting.config import Settings, load
from gifting.economy.economy import Economy
from gifting.economy.providers.sandbox import checkout as checkouts
from gifting.economy.providers.sandbox.cards import CARDS, Fate
from gifting.ledger.calls import Calls
from gifting.ledger.reversals import Reversals
from gifting.ledger.sandbox import SandboxBooks
from gifting.model.orders import Order
from gifting.rulebook import Rulebook
from tests.support.accounts import account_of
from tests.support.orders import anyone, draft
from tests.support.world import World

NUMBERS = {card.fate: card.number for card in CARDS}
REASON = "It was a child."


def settings_of(world: World) -> Settings:
    return load({"partitions": len(world.ledger.keys.bases), "providers": "sandbox"}, environ={})


@asynccontextmanager
async def an_economy(world: World) -> AsyncIterator[Economy]:
    world.ledger.upkeep.clock.now_ms = lambda: world.clock[0]  # type: ignore[method-assign]
    settings = settings_of(world)
    made = Economy(world.ledger, settings, Rulebook(settings, lambda: None), lambda: ["a secret"])
    try:
        yield made
    finally:
        await made.close()


async def bought(world: World, economy: Economy, fate: Fate = Fate.PAYS, **more: Any) -> Order:
    """100 coins and 20 bonus coins for 10.00 €, at the sandbox, as it has told."""
    order = await world.ledger.orders.open(draft("ann", world.key(), **more), anyone)
    sandbox = economy.sandbox
    assert sandbox is not None
    await sandbox.create(order, "")
    name = checkouts.checkout_id(order.id)
    await sandbox.change(name, lambda known, now: checkouts.pay(known, NUMBERS[fate], now))
    await economy.reconciliation.round()
    return await world.ledger.orders.get(order.id)


async def gave(world: World, *coins: int) -> list[str]:
    keys = [world.key() for _ in coins]
    for key, count in zip(keys, coins, strict=True):
        await world.send(count=count, key=key)
    return keys


async def paid_back(economy: Economy, order: Order) -> list[int]:
    """What the sandbox has given back."""
    assert economy.sandbox is not None
    return [one.amount for one in (await economy.sandbox.find(checkouts.checkout_id(order.id))).refunds]


async def has(world: World, user: str = "ann") -> tuple[int, int, int]:
    one = await account_of(world.redis, world.base(user), user)
    return one.coins, one.bonus, one.debt


async def diamonds(world: World) -> int:
    return (await world.ledger.creators.read("host")).balance


class Killed(Exception):
    """The process is gone."""


class Killer:
    """A process that dies before or after the n-th time that it writes something, and does nothing after that."""

    def __init__(self, patch: pytest.MonkeyPatch, count: int, when: str) -> None:
        self.dead, self._left, self._when = False, count, when
        for owner, name in (
            (Calls, "timed"),
            (Calls, "run"),
            (Reversals, "_note"),
            (SandboxBooks, "write"),
        ):
            self._wrap(patch, owner, name)

    def _wrap(self, patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        done = getattr(owner, name)

        async def step(*args: Any, **more: Any) -> Any:
            self._die(False)
            self._left -= 1
            mine = self._left == 0
            self._die(mine and self._when == "before")
            result = await done(*args, **more)
            self._die(mine and self._when == "after")
            return result

        patch.setattr(owner, name, step)

    def _die(self, now: bool) -> None:
        self.dead |= now
        if self.dead:
            raise Killed
