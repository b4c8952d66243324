"""A lane of credits: in which order parcels go, how long they are kept, and who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ResponseError

from gifting import errors
from gifting.ledger.cluster import credits as module
from gifting.ledger.cluster.credit_call import APPLIED, BEFORE, EARLY, GONE, PARKED, Blob, Told, read_blob
from gifting.ledger.cluster.credits import KEPT_FOR, PARCELS_MAX, PARKED_FOR, Credits
from gifting.ledger.cluster.debit_call import Completion
from gifting.ledger.cluster.link import Call
from gifting.ledger.cluster.parcels import PENDING_AFTER, Paid, Parcel
from gifting.ledger.redis_errors import NotSent, Unanswered
from gifting.model.values import Result
from tests.support.lanes import TIMEOUT, Gifts, Wire, blob_of, credited

COINS, NOTICE = 50, 80
TO = 1


class Lane(Gifts):
    """``packed`` has the numbers of the parcels of each call, ``done`` what is known of those that were credited."""

    def __init__(self, **more: Any) -> None:
        super().__init__()
        self.wire = Wire(**more)
        self.packed: list[list[int]] = []
        self.loaded = 0
        self.holes: list[tuple[int, int]] = []
        self.done: list[tuple[int, int, list[tuple[int, int, int, int]]]] = []
        calls = SimpleNamespace(pack=self._pack, load_script=self._load)
        self.credits = Credits(TO, 7, calls, self.wire.way, lambda *pair: self.holes.append(pair))  # type: ignore[arg-type]

    def _pack(self, blobs: Sequence[Blob]) -> bytes:
        self.packed.append([blob.seq for blob in blobs])
        return b""

    def _load(self) -> None:
        self.loaded += 1

    def _credited(self, parcel: Parcel, completions: Sequence[Completion]) -> None:
        known = [(int.from_bytes(one.key, "big"), one.seq, one.repeat_count, one.streak) for one in completions]
        self.done.append((parcel.blob.seq, parcel.reached, known))

    def add(self, seq: int, gifts: int = 1, age: float = 0.0, source: int = 0) -> None:
        paid = [Paid(item, NOTICE, COINS) for item in self.gifts(gifts)]
        blob = read_blob(blob_of(seq, TO, source=source))
        self.credits.append(Parcel(TO, blob, paid, monotonic() - age, self._credited))

    async def call(self) -> Call:
        """The last that was sent, packed."""
        call = await self.wire.call()
        call.pack(False)
        return call

    def pending(self) -> list[int]:
        found = Result(False, 0, COINS, 0, 0, NOTICE, pending=True)
        return sorted(number for number, told in self.told.items() if told == found)


def applied(seq: int, *results: int, epoch: int = 5) -> Told:
    return Told(APPLIED, epoch, seq, list(results))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_PAUSE", 0.0)


async def test_each_gift_is_told_what_its_room_said_and_what_is_known_is_handed_on() -> None:
    lane, began = Lane(), monotonic()
    lane.add(1, gifts=2)
    lane.add(2)
    assert lane.credits.busy
    call = await lane.call()
    assert (call.slot, lane.packed) == (7, [[1, 2]])
    assert began + TIMEOUT <= call.until <= monotonic() + TIMEOUT
    assert lane.credits.busy
    call.done(credited(applied(1, 11, 1, 11, 12, 2, 11), applied(2, 13, 1, 13, epoch=6)), True)
    assert lane.told[2] == Result(False, 12, COINS, 2, 11, NOTICE)
    assert lane.done == [(1, 5, [(1, 11, 1, 11), (2, 12, 2, 11)]), (2, 6, [(3, 13, 1, 13)])]
    assert lane.wire.counts.items == 3
    assert lane.wire.settled == 1
    assert not lane.credits.busy


async def test_one_call_is_in_flight_and_has_no_more_gifts_than_it_may_but_one_parcel_at_least() -> None:
    lane, sizes = Lane(batch_max=5), {1: 6, 2: 2, 3: 3, 4: 1, 5: 5}
    lane.add(1, sizes[1])
    call = await lane.call()
    for seq in (2, 3, 4, 5):
        lane.add(seq, sizes[seq])
    await lane.wire.call()
    for number, wanted in enumerate(([1], [2, 3], [4], [5]), 1):
        assert len(lane.wire.calls) == number
        assert lane.packed[-1] == wanted
        call.done(credited(*[applied(seq, *[1] * 3 * sizes[seq]) for seq in wanted]), True)
        call = await lane.call()
    assert len(lane.told) == 17


async def test_a_call_has_so_many_parcels_at_most() -> None:
    lane = Lane(batch_max=1000)
    for seq in range(1, PARCELS_MAX + 2):
        lane.add(seq)
    await lane.call()
    assert lane.packed[-1] == list(range(1, PARCELS_MAX + 1))


@pytest.mark.parametrize("reply", [Unanswered("gone"), NotSent("none"), None])
async def test_what_is_not_held_goes_again_before_what_came_later(reply: Exception | None) -> None:
    lane = Lane(batch_max=2)
    for seq in (1, 2, 3):
        lane.add(seq)
    call = await lane.call()
    call.done(reply or credited(applied(1, 1, 1, 1), applied(2, 2, 1, 2)), False)
    assert (lane.told, lane.done) == ({}, [])
    await asyncio.sleep(0.01)
    await lane.call()
    assert lane.packed == [[1, 2], [1, 2]]


async def test_what_goes_again_waits_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_PAUSE", 60.0)
    lane = Lane()
    lane.add(1)
    (await lane.call()).done(NotSent("none"), False)
    lane.add(2)
    await lane.wire.call()
    assert len(lane.wire.calls) == 1
    lane.credits.close()


async def test_a_script_that_breaks_off_halts() -> None:
    lane = Lane()
    lane.add(1)
    error = ResponseError("ERR script: 1, on @user_script:1.")
    (await lane.call()).done(error, False)
    assert lane.wire.why == [f"credit: {error}"]
    await lane.wire.call()
    assert len(lane.wire.calls) == 1, "it is not said again"


async def test_a_reply_that_makes_no_sense_is_raised() -> None:
    lane = Lane()
    lane.add(1)
    call = await lane.call()
    with pytest.raises(ValueError, match="each of 1 blobs"):
        call.done(credited(), True)


async def test_a_script_that_redis_lacks_goes_along() -> None:
    lane = Lane()
    lane.add(1)
    (await lane.call()).pack(True)
    assert lane.loaded == 1


# What was before, or is not yet.


async def test_what_was_credited_before_is_told_as_far_as_it_is_known() -> None:
    lane = Lane()
    lane.add(1)
    lane.add(2)
    (await lane.call()).done(credited(Told(BEFORE, 5, 2, [4, 1, 4]), Told(BEFORE, 5, 2, None)), True)
    assert lane.told[1] == Result(False, 4, COINS, 1, 4, NOTICE)
    assert lane.pending() == [2]
    assert [(seq, known) for seq, _, known in lane.done] == [(1, [(1, 4, 1, 4)]), (2, [])]


async def test_what_its_source_has_lost_is_not_known(caplog: pytest.LogCaptureFixture) -> None:
    lane = Lane()
    lane.add(1, source=3)
    (await lane.call()).done(credited(Told(GONE, 9, 4, None)), True)
    assert isinstance(lane.told[1], errors.OutcomeUnknown)
    assert "gifts of partition 3 to 1 are lost by the first" in caplog.text
    assert (lane.done, lane.holes) == ([], [])
    assert not lane.credits.busy


async def test_what_came_too_early_goes_again_and_its_hole_is_told() -> None:
    lane = Lane()
    for seq in (8, 9):
        lane.add(seq, source=3)
    call = await lane.call()
    lane.add(10, source=3)
    call.done(credited(Told(EARLY, 5, 1, None), Told(EARLY, 5, 1, None)), True)
    assert lane.holes == [(3, TO)] * 2
    assert lane.told == {}
    await asyncio.sleep(0.01)
    await lane.call()
    assert lane.packed[-1] == [8, 9, 10]


async def test_what_is_parked_is_told_when_what_was_missing_is_credited() -> None:
    lane = Lane()
    lane.add(2, source=3)
    lane.add(2, source=2)
    call = await lane.call()
    call.done(credited(Told(PARKED, 5, 0, None), Told(PARKED, 5, 0, None)), True)
    assert lane.holes == [(3, TO), (2, TO)]
    assert lane.credits.busy
    lane.add(1, source=3)
    told = credited(applied(1, 1, 1, 1), parked=[(3, 2, [2, 2, 1]), (3, 7, [9, 9, 9])])
    (await lane.call()).done(told, True)
    assert lane.packed[-1] == [1]
    assert lane.told[1] == Result(False, 2, COINS, 2, 1, NOTICE)
    assert sorted(lane.told) == [1, 3], "of the same number of another source nothing is known"
    lane.credits.expire(monotonic() + PARKED_FOR)
    await lane.call()
    assert lane.packed[-1] == [2], "that one alone is waited for"


async def test_what_is_parked_is_said_again_after_a_while() -> None:
    lane = Lane()
    lane.add(2)
    began = monotonic()
    (await lane.call()).done(credited(Told(PARKED, 5, 0, None)), True)
    lane.credits.expire(began + PARKED_FOR - 0.1)
    await lane.wire.call()
    assert len(lane.wire.calls) == 1
    lane.credits.expire(monotonic() + PARKED_FOR + 0.1)
    await lane.call()
    assert lane.packed == [[2], [2]]
    lane.wire.calls[-1].done(credited(Told(PARKED, 5, 0, None)), True)
    lane.credits.expire(monotonic() + KEPT_FOR * TIMEOUT + 1)
    await lane.wire.call()
    assert len(lane.wire.calls) == 2, "it is too old: the relays have it"
    assert not lane.credits.busy


# Time.


async def test_who_has_waited_for_long_is_told_that_it_is_pending_wherever_it_is() -> None:
    lane, began = Lane(batch_max=1), monotonic()
    lane.add(2)
    (await lane.call()).done(credited(Told(PARKED, 5, 0, None)), True)
    lane.add(3)
    call = await lane.call()
    lane.add(4)
    lane.credits.expire(began + PENDING_AFTER - 0.5)
    assert lane.told == {}
    lane.credits.expire(monotonic() + PENDING_AFTER + 0.1)
    assert lane.pending() == [1, 2, 3]
    call.done(credited(applied(3, 5, 1, 5)), True)
    assert lane.pending() == [1, 2, 3], "each is told once"
    assert lane.done == [(3, 5, [(2, 5, 1, 5)])]
    assert lane.wire.counts.items == 3


async def test_what_waits_for_too_long_or_is_too_much_is_left_to_the_relays() -> None:
    lane = Lane(batch_max=1, gifts_max=5)
    lane.add(1, age=KEPT_FOR * TIMEOUT)
    call = await lane.call()
    lane.add(2, gifts=2, age=KEPT_FOR * TIMEOUT - 1)
    lane.add(3, gifts=3)
    lane.add(4, gifts=2)
    lane.credits.expire(monotonic())
    assert lane.pending() == [1, 2, 3], "seven gifts are more than five"
    lane.credits.expire(monotonic())
    call.done(credited(applied(1, 1, 1, 1)), True)
    await lane.call()
    assert lane.packed[-1] == [3], "what is in flight is not given up"
    lane.credits.expire(monotonic() + KEPT_FOR * TIMEOUT + 1)
    assert lane.pending() == [1, 2, 3, 4, 5, 6, 7, 8]
    lane.wire.calls[-1].done(NotSent("none"), False)
    lane.credits.expire(monotonic() + KEPT_FOR * TIMEOUT + 1)
    assert not lane.credits.busy


async def test_what_is_too_much_is_told_at_once_and_what_is_young_is_kept_however_short_calls_are() -> None:
    lane = Lane(batch_max=1, gifts_max=1, timeout=0.1)
    lane.add(1)
    call = await lane.call()
    lane.add(2)
    lane.add(3, age=PENDING_AFTER - 0.5)
    lane.credits.expire(monotonic())
    assert lane.pending() == [2]
    call.done(credited(applied(1, 1, 1, 1)), True)
    await lane.call()
    assert lane.packed[-1] == [3]


async def test_what_waits_is_kept_for_some_time_outs() -> None:
    lane = Lane(batch_max=1)
    lane.add(1)
    call = await lane.call()
    lane.add(2, age=KEPT_FOR * TIMEOUT - 1)
    lane.credits.expire(monotonic())
    call.done(credited(applied(1, 1, 1, 1)), True)
    await lane.call()
    assert lane.packed[-1] == [2]


# The end.


async def test_who_closes_it_leaves_all_to_the_relays_and_says_how_much() -> None:
    lane = Lane(batch_max=2)
    lane.add(2)
    (await lane.call()).done(credited(Told(PARKED, 5, 0, None)), True)
    lane.add(3, gifts=2)
    call = await lane.call()
    lane.add(4, gifts=3)
    assert lane.credits.close() == 6
    assert lane.pending() == [1, 2, 3, 4, 5, 6]
    assert not lane.credits.busy
    lane.add(5)
    assert lane.pending()[-1] == 7
    call.done(credited(applied(3, *[1] * 6)), True)
    await lane.wire.call()
    assert (len(lane.wire.calls), lane.done) == (2, [])
    assert not lane.credits.busy


@pytest.mark.parametrize("resting", [False, True])
async def test_what_was_to_go_does_not_when_it_is_closed(resting: bool) -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    lane = Lane()
    lane.add(1)
    if resting:
        (await lane.call()).done(NotSent("none"), False)
    lane.credits.close()
    await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    assert (len(lane.wire.calls), failures) == (resting, [])
    assert lane.pending() == [1]
