"""How old a snapshot may be, and who waits for one."""

from __future__ import annotations

import asyncio

import pytest

from gifting.errors import Unavailable
from gifting.hub.snapshots import RENEWED_AFTER, SNAPSHOT_AGE, Snapshots
from gifting.model.events import Host
from gifting.model.house import NO_RULES
from gifting.wire.replies import Snapshot


class Ledger:
    """Answers when it is told to; each snapshot has the number of the question as its seq."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False
        self._may = asyncio.Event()

    async def ask(self) -> Snapshot:
        self.asked += 1
        number = self.asked
        await self._may.wait()
        if self.fails:
            raise Unavailable
        return Snapshot("r1", "live", number, "", Host("host", ""), 0, 0, 0, 0, 0, [], [], NO_RULES)

    async def answer(self) -> None:
        self._may.set()
        for _ in range(5):
            await asyncio.sleep(0)
        self._may.clear()


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


def seq(found: Snapshot | None) -> int | None:
    return None if found is None else found.seq


async def first(ledger: Ledger, now: float) -> Snapshots:
    """Snapshots of which the first was asked for at ``now``."""
    snapshots = Snapshots(ledger.ask)
    assert snapshots.at_hand(now) is None
    asking = [asyncio.ensure_future(snapshots.get(now)) for _ in range(3)]
    await asyncio.sleep(0)
    assert snapshots.at_hand(now) is None
    await ledger.answer()
    assert [seq(await one) for one in asking] == [1, 1, 1]
    return snapshots


async def test_who_comes_soon_shares_it(ledger: Ledger) -> None:
    snapshots = await first(ledger, 0.0)
    assert seq(snapshots.at_hand(RENEWED_AFTER)) == seq(await snapshots.get(SNAPSHOT_AGE)) == 1
    assert ledger.asked == 1


async def test_nobody_is_given_an_older_one(ledger: Ledger) -> None:
    snapshots = await first(ledger, 10.0)
    late = 10.0 + SNAPSHOT_AGE + 0.01
    assert snapshots.at_hand(late) is None
    asking = asyncio.ensure_future(snapshots.get(late))
    await asyncio.sleep(0)
    assert snapshots.at_hand(late) is None
    await ledger.answer()
    assert seq(await asking) == seq(snapshots.at_hand(late)) == 2


async def test_of_many_who_come_only_the_first_waits(ledger: Ledger) -> None:
    """The next is asked for once, while the last is still good; its age counts from then."""
    snapshots = await first(ledger, 0.0)
    for now in (0.16, 0.2, SNAPSHOT_AGE):
        assert seq(snapshots.at_hand(now)) == 1
    await ledger.answer()
    assert ledger.asked == 2
    assert seq(snapshots.at_hand(SNAPSHOT_AGE + 0.01)) == 2
    assert snapshots.at_hand(0.16 + SNAPSHOT_AGE + 0.01) is None


async def test_one_that_could_not_be_had_changes_nothing(ledger: Ledger) -> None:
    snapshots = await first(ledger, 0.0)
    ledger.fails = True
    assert seq(snapshots.at_hand(0.16)) == 1
    await ledger.answer()
    assert seq(snapshots.at_hand(SNAPSHOT_AGE)) == 1
    assert snapshots.at_hand(SNAPSHOT_AGE + 0.01) is None
    with pytest.raises(Unavailable):
        await snapshots.get(SNAPSHOT_AGE + 0.01)
