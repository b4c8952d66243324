"""Payouts by Stripe Connect, of processes that die: to the bank once or back once, at whatever step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("stripe", reason="the extra stripe is not installed")

from gifting.model.payouts import DAY_MS, RETURN_DAYS, State, state
from tests.support.stripe_books import ASKED, Books, balance, books_of, entered
from tests.support.stripe_connect import Connect, No
from tests.support.world import World

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
"""What the library's own requests warn of."""


class Killed(Exception):
    """The process is gone."""


class Killer:
    """A process that dies before or after the n-th time it asks Stripe or writes, and does nothing after that."""

    def __init__(self, patched: pytest.MonkeyPatch, books: Books, doomed: int) -> None:
        self.dead = False
        self._left = doomed
        payouts = books.world.ledger.payouts
        for part in ("_write", "_refer", "sending", "apply", "asked"):
            self._wrap(patched, payouts, part)
        self._wrap(patched, books.stripe._http, "request_async")

    def _wrap(self, patched: pytest.MonkeyPatch, owner: Any, part: str) -> None:
        done: Callable[..., Awaitable[Any]] = getattr(owner, part)

        async def step(*args: Any, **options: Any) -> Any:
            self._check()
            result = await done(*args, **options)
            self._check()
            return result

        patched.setattr(owner, part, step)

    def _check(self) -> None:
        self._left -= 1
        self.dead |= self._left <= 0
        if self.dead:
            raise Killed


ENDS = {"paid": State.PAID, "failed": State.FAILED, "returned": State.RETURNED, "refused": State.FAILED}


async def lives(books: Books, end: str, key: str) -> None:
    """All of a payout's life, by webhooks, some of which come before anything is noted."""
    made = await books.request(key=key)
    await books.payouts.resume()
    if end == "returned":
        books.connect.settle("paid")
        await books.told_of_payouts(of=made.id)
    books.connect.settle("paid" if end == "paid" else "failed")
    for _ in range(2):
        await books.told_of_payouts(of=made.id)


async def killed(books: Books, monkeypatch: pytest.MonkeyPatch, doomed: int, end: str, key: str) -> bool:
    """Whether it died at that step, or lived to the end."""
    with monkeypatch.context() as patched:
        killer = Killer(patched, books, doomed)
        with suppress(Killed):
            await lives(books, end, key)
        return killer.dead


STEPS = 120
"""More than there are."""


@pytest.mark.slow
@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("end", ENDS)
async def test_whoever_dies_at_a_step_it_goes_out_once_and_comes_back_once(
    books: Books, world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch, end: str, forgets: bool
) -> None:
    """Each death has a payout of its own; a Stripe that forgets has no keys that were used before."""
    connect.forgets = forgets
    if end == "refused":
        connect.refuses["POST /v1/payouts"] = No("payouts_not_allowed")
    await world.grant("ann", 100_000)
    expected = list[int]()
    for doomed in range(1, STEPS):
        await world.send(count=ASKED // 500)
        key, had, out = world.key(), await balance(world), connect.out
        connect.balance["USD"] = 1_000
        async with books_of(world, connect) as victim:
            died = await killed(victim, monkeypatch, doomed, end, key)
        async with books_of(world, connect) as heir:
            await heir.days()
            await lives(heir, end, key)
            await heir.days(2)
            ended = state(await heir.request(key=key))
        possible = {ENDS[end]} | ({State.FAILED} if end == "returned" else set())
        assert ended in possible, "a webhook that was lost may have said that it was paid first"
        paid = end == "paid"
        expected += [ASKED] if paid else [ASKED, -ASKED]
        assert await balance(world) == had - ASKED * paid
        assert connect.out == out + 100 * paid
        assert len({one["transfer_group"] for one in connect.transfers}) == len(connect.transfers) == doomed
        if not died:
            break
        world.clock[0] += (RETURN_DAYS + 1) * DAY_MS
    assert not died and doomed > 15
    assert await entered(world) == expected
