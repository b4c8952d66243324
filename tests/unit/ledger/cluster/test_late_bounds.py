"""Looking for what came of pending gifts is bounded: one at a time, and nobody waits long for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gifting.ledger.cluster import late
from gifting.ledger.cluster.errands import Errands
from gifting.ledger.cluster.late import Credited, Late
from gifting.ledger.commit import PendingCommit
from gifting.ledger.commit_keys import bucket_spot
from gifting.model.values import Result
from tests.support.waiting import until

SPOT = bucket_spot("gifting:{p00}", 0)


class Asking:
    """Gifts by their numbers, who are told in ``told``; what is looked for is found when ``known`` is set."""

    def __init__(self) -> None:
        self.told: dict[int, Any] = {}
        self.looked: list[bytes] = []
        self.known = asyncio.Event()
        self.settled = 0
        self.errands = Errands(lambda: None)
        self.late = Late(self._settle)
        self.late.use(self._find)

    def _settle(self) -> None:
        self.settled += 1

    async def _find(self, user: str, key: bytes) -> Credited:
        assert user == "ann"
        self.looked.append(key)
        await self.known.wait()
        return Credited(7, 2, 5)

    def ask(self, number: int) -> None:
        fields = b"\xa3ann\xb0" + bytes([number]) * 16
        item = PendingCommit(1, SPOT, SPOT, b"", fields, lambda outcome: self.told.update({number: outcome}), 0.0)
        self.late.tell(item, 90, self.errands)


PENDING = Result(True, 0, 90, 0, 0, pending=True)


async def test_one_is_looked_for_at_a_time() -> None:
    asking = Asking()
    asking.ask(1)
    asking.ask(2)
    assert asking.told == {2: PENDING}
    asking.known.set()
    await until(lambda: 1 in asking.told)
    assert asking.told[1] == Result(True, 7, 90, 2, 5)
    assert asking.settled == 1
    asking.ask(3)
    await until(lambda: 3 in asking.told)
    assert asking.looked == [bytes([number]) * 16 for number in (1, 3)]


async def test_nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "PATIENCE", 0.01)
    asking = Asking()
    asking.ask(1)
    await until(lambda: asking.settled)
    assert (asking.told, asking.late.busy) == ({1: PENDING}, False)


async def test_before_anybody_knows_it_is_pending() -> None:
    asking = Asking()
    asking.late = Late(lambda: None)
    asking.ask(1)
    assert asking.told == {1: PENDING}
