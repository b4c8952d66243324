"""A lane of what is free: said once, and what nobody holds is not confirmed."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError, ResponseError

from gifting import errors
from gifting.ledger.cluster.frees import Frees
from gifting.ledger.commit import EVENT, PendingCommit
from gifting.ledger.commit_keys import room_spot
from gifting.ledger.redis_errors import NotSent, Unanswered
from gifting.ledger.status import Status
from gifting.model.packing import pack
from gifting.model.values import Result
from tests.support.lanes import KEYS, TIMEOUT, Wire

DONE, ENDED = (0, 0, 3, 0, 1, 3), (0, int(Status.ROOM_ENDED), 0, 0, 0, 0)


class Lane:
    def __init__(self, **more: Any) -> None:
        self.wire = Wire(**more)
        self.frees = Frees(KEYS.bases[1], self.wire.way, lambda: "")
        self.told: dict[int, Any] = {}
        self._made = 0

    def post(self, count: int = 1, age: float = 0.0) -> None:
        for _ in range(count):
            self._made += 1
            number, spot = self._made, room_spot(KEYS.bases[1], "r", "host")

            def done(outcome: Any, number: int = number) -> None:
                assert number not in self.told, "told twice"
                self.told[number] = outcome

            fields = b"<%d>" % number
            self.frees.append(PendingCommit(EVENT, None, spot, None, fields, done, monotonic() - age))

    def kinds(self) -> dict[int, type]:
        return {number: type(outcome) for number, outcome in sorted(self.told.items())}


async def test_one_call_is_in_flight_and_each_is_told_what_came_of_it() -> None:
    lane, began = Lane(batch_max=2), monotonic()
    lane.post(age=2.0)
    lane.post(2)
    assert lane.frees.busy
    call = await lane.wire.call()
    assert began - 2.0 + TIMEOUT <= call.until <= monotonic() - 2.0 + TIMEOUT
    assert b"<1>" in call.pack(False)
    assert b"<2>" in call.pack(False)
    assert b"<3>" not in call.pack(False)
    lane.post()
    await lane.wire.call()
    assert len(lane.wire.calls) == 1
    call.done(pack((DONE, ENDED)), True)
    assert lane.kinds() == {1: Result, 2: errors.RoomEnded}
    assert (lane.wire.counts.items, lane.wire.counts.batches, lane.wire.settled) == (2, 1, 1)
    call = await lane.wire.call()
    assert len(lane.wire.calls) == 2
    call.done(pack((DONE, DONE)), True)
    assert not lane.frees.busy


async def test_what_nobody_holds_is_not_confirmed_and_not_said_again() -> None:
    lane = Lane()
    lane.post()
    (await lane.wire.call()).done(pack((DONE,)), False)
    assert lane.kinds() == {1: errors.Unconfirmed}
    await lane.wire.call()
    assert len(lane.wire.calls) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotSent("none"), errors.LedgerUnavailable),
        (OutOfMemoryError("full"), errors.LedgerFull),
        (Unanswered("gone"), errors.Unconfirmed),
        (ResponseError("ERR script: 1, on @user_script:1."), errors.Unconfirmed),
    ],
)
async def test_what_has_not_run_is_told_so(error: Exception, kind: type) -> None:
    lane = Lane()
    lane.post()
    call = await lane.wire.call()
    lane.post()
    call.done(error, False)
    assert lane.kinds() == {1: kind}
    assert lane.wire.why == (
        [f"commit: {error}"] if isinstance(error, ResponseError) and "script" in str(error) else []
    )
    await lane.wire.call()
    assert len(lane.wire.calls) == 2, "and the next go"


async def test_what_waits_is_refused_when_it_has_waited_too_long_or_when_all_ends() -> None:
    lane = Lane(batch_max=1)
    lane.post(age=9)
    call = await lane.wire.call()
    lane.post(age=9)
    lane.post()
    lane.frees.expire(monotonic() + 2)
    assert lane.kinds() == {2: errors.LedgerUnavailable}
    lane.frees.close(errors.LedgerHalted)
    assert lane.kinds() == {2: errors.LedgerUnavailable, 3: errors.LedgerHalted}
    call.done(pack((DONE,)), True)
    assert isinstance(lane.told[1], Result)
    await lane.wire.call()
    assert len(lane.wire.calls) == 1
    assert not lane.frees.busy


async def test_who_falls_hears_no_reply() -> None:
    lane = Lane()
    lane.post()
    call = await lane.wire.call()
    assert lane.frees.busy
    lane.frees.fall()
    assert lane.kinds() == {1: errors.Unconfirmed}
    assert not lane.frees.busy
    call.done(pack((DONE,)), True)
    assert lane.wire.counts.batches == 0


async def test_what_was_to_go_does_not_when_it_is_closed() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    lane = Lane()
    lane.post()
    lane.frees.close(errors.LedgerHalted)
    assert (await lane.wire.sent(), failures) == ([], [])


async def test_a_script_that_redis_lacks_goes_along_once() -> None:
    lane = Lane()
    lane.post()
    call = await lane.wire.call()
    assert b"EVALSHA" in call.pack(False)
    assert b"EVALSHA" not in call.pack(True)
    assert b"EVALSHA" in call.pack(False)
