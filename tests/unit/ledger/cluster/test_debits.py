"""A lane of debits: what goes in a call, when it is said again, what it means then, and who is told what."""

from __future__ import annotations

import asyncio
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError, ResponseError, TryAgainError

from gifting import errors
from gifting.ledger.cluster import debits as module
from gifting.ledger.cluster.debit_call import UNASKED, Asked, Completion, Riding
from gifting.ledger.cluster.debits import ASKED_FOR, TRIED_FOR, Debits
from gifting.ledger.cluster.errands import IDLE
from gifting.ledger.cluster.fields import key_of
from gifting.ledger.cluster.link import Call
from gifting.ledger.cluster.parcels import Parcel
from gifting.ledger.commit_keys import bucket_spot
from gifting.ledger.redis_errors import NotSent, Unanswered
from gifting.model.values import Result
from tests.support.lanes import FRESH, KEYS, KNOWN, PENDING, POOR, SOURCE, TIMEOUT, Gifts, Wire, blob_of, debited
from tests.support.waiting import until

TIME = 0.05
"""Seconds in which what is due at once has come."""


class Lane(Gifts):
    """``packed`` has the batches of calls as they were made, ``handed`` the parcels."""

    def __init__(self, **more: Any) -> None:
        super().__init__()
        self.wire = Wire(**more)
        self.packed: list[list[Asked]] = []
        self.rode: list[Riding] = []
        self.loaded = 0
        self.handed: list[tuple[int, Parcel]] = []
        numbers = {base: number for number, base in enumerate(KEYS.bases)}
        calls = SimpleNamespace(pack=self._pack, load_script=self._load)
        self.debits = Debits(7, calls, self.wire.way, numbers, self._credit)  # type: ignore[arg-type]

    def _pack(self, batch: list[Asked], riding: Riding) -> bytes:
        self.packed.append(batch)
        self.rode.append(riding)
        return b""

    def _load(self) -> None:
        self.loaded += 1

    def _credit(self, number: int, parcel: Parcel) -> None:
        self.handed.append((number, parcel))

    def give(self, count: int = 1, **more: Any) -> None:
        for item in self.gifts(count, **more):
            self.debits.append(item)

    async def call(self) -> Call:
        """The last that was sent, packed."""
        call = await self.wire.call()
        call.pack(False)
        return call

    def keys(self) -> list[int]:
        """Of the gifts in the call that was packed last."""
        return [int.from_bytes(key_of(asked.item.fields), "big") for asked in self.packed[-1]]

    def kinds(self) -> dict[int, type]:
        return {number: type(outcome) for number, outcome in sorted(self.told.items())}

    def paid(self) -> list[tuple[int, int, list[int]]]:
        """Of what was handed on: the partition, the number, and the keys of its gifts."""
        return [
            (to, parcel.blob.seq, [int.from_bytes(key_of(paid.item.fields), "big") for paid in parcel.gifts])
            for to, parcel in self.handed
        ]


def completion(number: int) -> Completion:
    return Completion(bucket_spot(SOURCE, 1), number.to_bytes(16, "big"), number, 1, 1)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_PAUSE", 0.0)


async def test_what_comes_in_one_pass_goes_in_one_call_and_the_rest_when_that_is_answered() -> None:
    lane = Lane(batch_max=2)
    lane.give(2)
    assert lane.debits.busy
    call = await lane.call()
    assert (call.slot, lane.keys()) == (7, [1, 2])
    lane.give(3)
    await lane.call()
    assert len(lane.wire.calls) == 1
    call.done(debited([FRESH, FRESH], [(1, blob_of(1))]), True)
    await lane.call()
    assert lane.keys() == [3, 4]
    assert lane.paid() == [(1, 1, [1, 2])]
    assert lane.debits.busy
    assert lane.told == {}


async def test_a_call_may_take_what_its_oldest_gift_may_wait_but_a_second_at_least() -> None:
    for age, longest in ((2.0, TIMEOUT - 2), (TIMEOUT - 0.5, TRIED_FOR)):
        lane, began = Lane(), monotonic()
        lane.give(age=age)
        lane.give()
        assert began + longest <= (await lane.call()).until <= monotonic() + longest


async def test_each_partition_gets_its_parcel_and_who_was_not_debited_is_told() -> None:
    lane = Lane()
    for to in (1, 2, 1, 2, 1, 3, 3):
        lane.give(to=to)
    call = await lane.call()
    replies = [FRESH, FRESH, POOR, KNOWN, FRESH, PENDING, (1, *POOR[1:])]
    call.done(debited(replies, [(2, blob_of(4, 2)), (1, blob_of(9))]), True)
    assert lane.paid() == [(2, 4, [2]), (1, 9, [1, 5])]
    assert lane.kinds() == {3: errors.InsufficientCoins, 4: Result, 7: errors.InsufficientCoins}
    assert lane.told[4] == Result(True, 7, 50, 2, 6)
    assert lane.wire.late == [50], "what came of it is looked for"
    assert (lane.wire.counts.items, lane.wire.counts.batches) == (4, 1)
    assert lane.wire.settled == 1
    assert not lane.debits.busy


# Said again.


async def test_what_is_not_held_is_said_again_and_what_was_taken_first_holds() -> None:
    lane = Lane()
    lane.give(3)
    call = await lane.call()
    call.done(debited([FRESH, FRESH, POOR], [(1, blob_of(1))]), False)
    assert (lane.told, lane.paid()) == ({}, [])
    lane.give()
    again = await lane.call()
    assert again is not call
    assert lane.keys() == [1, 2, 3], "the same, and nothing else"
    assert again.until == call.until
    assert lane.wire.looked[-3:] == [True, True, True], "by what rooms say now, however old"
    again.done(debited([PENDING, PENDING, FRESH], [(1, blob_of(2))]), True)
    assert lane.paid() == [(1, 1, [1, 2]), (1, 2, [3])], "in the order of their numbers"
    assert (lane.told, lane.wire.late) == ({}, [])


async def test_what_was_lost_before_it_was_held_is_not_handed_on() -> None:
    lane = Lane()
    lane.give(2)
    (await lane.call()).done(debited([FRESH, FRESH], [(1, blob_of(1))]), False)
    (await lane.call()).done(debited([FRESH, FRESH], [(1, blob_of(1, epoch=6))]), True)
    assert [(parcel.blob.epoch, len(parcel.gifts)) for _, parcel in lane.handed] == [(6, 2)]


async def test_what_was_lost_and_taken_again_before_it_was_held_is_handed_on_once() -> None:
    lane = Lane()
    lane.give()
    (await lane.call()).done(debited([FRESH], [(1, blob_of(1))]), False)
    (await lane.call()).done(debited([FRESH], [(1, blob_of(1, epoch=6))]), False)
    (await lane.call()).done(debited([PENDING]), True)
    assert [(parcel.blob.epoch, len(parcel.gifts)) for _, parcel in lane.handed] == [(6, 1)]
    assert (lane.told, lane.wire.late) == ({}, [])


async def test_what_was_taken_by_several_calls_is_handed_on_in_the_order_of_their_numbers() -> None:
    lane = Lane()
    lane.give(3)
    (await lane.call()).done(debited([FRESH, POOR, POOR], [(1, blob_of(1))]), False)
    (await lane.call()).done(debited([PENDING, FRESH, POOR], [(1, blob_of(2))]), False)
    (await lane.call()).done(debited([PENDING, PENDING, FRESH], [(1, blob_of(3))]), True)
    assert lane.paid() == [(1, 1, [1]), (1, 2, [2]), (1, 3, [3])]


async def test_a_call_that_nobody_answered_may_have_run() -> None:
    lane = Lane()
    lane.give(2)
    (await lane.call()).done(Unanswered("gone"), False)
    assert lane.told == {}
    (await lane.call()).done(debited([PENDING, FRESH], [(1, blob_of(3))]), True)
    assert lane.paid() == [(1, 3, [2])]
    assert lane.wire.late == [50]


async def test_what_could_not_be_asked_again_is_said_by_what_was_known() -> None:
    lane = Lane()
    lane.give()
    call = await lane.call()
    known = lane.packed[-1]
    lane.wire.unasked.add(KEYS.bases[1])
    call.done(Unanswered("gone"), False)
    await lane.call()
    assert lane.packed[-1] == known


@pytest.mark.parametrize("reply", [Unanswered("gone"), debited([FRESH], [(1, blob_of(1))])])
async def test_a_call_whose_time_is_over_is_not_known(monkeypatch: pytest.MonkeyPatch, reply: Any) -> None:
    lane = Lane()
    lane.give()
    call = await lane.call()
    monkeypatch.setattr(module, "monotonic", lambda: call.until)
    lane.give(user="bob")
    call.done(reply, False)
    assert lane.kinds() == {1: errors.OutcomeUnknown}
    await lane.call()
    assert lane.keys() == [2]
    assert lane.handed == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotSent("none"), errors.LedgerUnavailable),
        (TryAgainError("moving"), errors.LedgerUnavailable),
        (OutOfMemoryError("full"), errors.LedgerFull),
        (ResponseError("ERR script: 1, on @user_script:1."), errors.OutcomeUnknown),
    ],
)
async def test_what_has_not_run_is_told_so_unless_it_may_have_run_before(error: Exception, kind: type) -> None:
    lane = Lane()
    lane.give()
    (await lane.call()).done(error, False)
    assert lane.kinds() == {1: kind}
    lane.give()
    (await lane.call()).done(Unanswered("gone"), False)
    (await lane.call()).done(error, False)
    assert lane.kinds() == {1: kind, 2: errors.OutcomeUnknown}
    broken = kind is errors.OutcomeUnknown
    assert lane.wire.why == [f"debit: {error}"] * (2 if broken else 0)


async def test_a_reply_that_makes_no_sense_is_raised() -> None:
    for held in (True, False):
        lane = Lane()
        lane.give(2)
        call = await lane.call()
        with pytest.raises(ValueError, match="each of 2 gifts"):
            call.done(debited([FRESH]), held)


async def test_a_script_that_redis_lacks_goes_along() -> None:
    lane = Lane()
    lane.give()
    (await lane.call()).pack(True)
    assert lane.loaded == 1


# What has to be asked.


async def test_what_waits_for_its_room_keeps_its_sender_s_order_and_nobody_else_s() -> None:
    lane = Lane()
    lane.wire.unasked.add(KEYS.bases[2])
    for user, to in (("ann", 1), ("bob", 2), ("bob", 1), ("cat", 1)):
        lane.give(user=user, to=to)
    call = await lane.call()
    assert lane.keys() == [1, 4]
    call.done(debited([FRESH, FRESH], [(1, blob_of(1))]), True)
    lane.give(user="bob")
    await lane.call()
    assert lane.keys() == [1, 4], "nothing of bob's can go"
    assert lane.debits.busy
    lane.wire.unasked.clear()
    lane.give(user="bob")
    lane.debits.look_again()
    await lane.call()
    assert lane.keys() == [2, 3, 5, 6]


async def test_who_waits_in_vain_for_a_room_is_said_without_it_and_refused_in_time() -> None:
    lane, began = Lane(), monotonic()
    lane.wire.unasked.add(KEYS.bases[1])
    lane.give()
    soon, late = began + ASKED_FOR * TIMEOUT - 0.5, monotonic() + ASKED_FOR * TIMEOUT + 0.5
    for now, looks in ((began, 1), (soon, 1), (late, 2)):
        lane.debits.expire(now)
        await until(lambda looks=looks: len(lane.wire.looked) >= looks)  # type: ignore[misc]
        await asyncio.sleep(TIME)
        assert len(lane.wire.looked) == looks, "it is tried once more when there is no time left to ask"
    other = Lane()
    other.wire.unasked.add(KEYS.bases[1])
    other.give(age=ASKED_FOR * TIMEOUT + 0.1)
    await other.call()
    assert [asked.room for asked in other.packed[-1]] == [UNASKED]
    lane.debits.expire(began + TIMEOUT - 0.5)
    await asyncio.sleep(TIME)
    assert lane.told == {}
    lane.debits.expire(monotonic() + TIMEOUT + 0.5)
    assert lane.kinds() == {1: errors.LedgerUnavailable}
    assert not lane.debits.busy


async def test_what_waits_behind_a_call_is_refused_when_it_has_waited_too_long() -> None:
    lane = Lane()
    lane.give(age=9)
    call = await lane.call()
    lane.give(age=9)
    lane.debits.append(lane.gift(age=9, sent=True))
    lane.give()
    lane.debits.expire(monotonic() + 2)
    assert lane.kinds() == {2: errors.LedgerUnavailable, 3: errors.OutcomeUnknown}
    call.done(debited([FRESH], [(1, blob_of(1))]), True)
    await lane.call()
    assert lane.keys() == [4]


# The end.


async def test_who_closes_it_ends_what_waits_and_still_takes_a_reply() -> None:
    lane = Lane(batch_max=1)
    lane.wire.unasked.add(KEYS.bases[2])
    lane.give(2, user="bob")
    call = await lane.call()
    lane.give(to=2)
    lane.debits.errands.keep([completion(1)])
    lane.debits.close(errors.LedgerHalted)
    assert lane.kinds() == {2: errors.LedgerHalted, 3: errors.LedgerHalted}
    assert lane.debits.busy
    call.done(debited([FRESH], [(1, blob_of(1))]), True)
    assert lane.paid() == [(1, 1, [1])]
    await asyncio.sleep(IDLE + 2 * TIME)
    assert len(lane.wire.calls) == 1
    assert not lane.debits.busy


async def test_who_closes_it_takes_the_reply_to_what_is_said_again() -> None:
    lane = Lane()
    lane.give()
    (await lane.call()).done(Unanswered("gone"), False)
    again = await lane.call()
    lane.debits.close(errors.LedgerHalted)
    assert lane.told == {}
    again.done(debited([FRESH], [(1, blob_of(1))]), True)
    assert lane.paid() == [(1, 1, [1])]


async def test_who_closes_it_ends_what_was_put_aside() -> None:
    lane = Lane()
    lane.wire.unasked.add(KEYS.bases[2])
    lane.give(to=2)
    await asyncio.sleep(TIME)
    lane.debits.close(errors.LedgerHalted)
    assert lane.kinds() == {1: errors.LedgerHalted}
    assert not lane.debits.busy


@pytest.mark.parametrize("when", ["before the reply", "before it is said again"])
async def test_what_is_to_be_said_again_when_it_is_closed_is_not_known(when: str) -> None:
    lane = Lane()
    lane.give()
    call = await lane.call()
    if when == "before the reply":
        lane.debits.close(errors.LedgerHalted)
        assert lane.told == {}
    call.done(debited([FRESH], [(1, blob_of(1))]), False)
    if when != "before the reply":
        lane.debits.close(errors.LedgerHalted)
    assert lane.kinds() == {1: errors.OutcomeUnknown}
    await asyncio.sleep(TIME)
    assert len(lane.wire.calls) == 1
    assert not lane.debits.busy


@pytest.mark.parametrize("unheld", [False, True])
async def test_who_falls_with_a_call_does_not_know_and_hears_no_reply(unheld: bool) -> None:
    lane = Lane()
    lane.give()
    call = await lane.call()
    if unheld:
        call.done(Unanswered("gone"), False)
    lane.debits.fall()
    assert lane.kinds() == {1: errors.OutcomeUnknown}
    lane.debits.close(errors.LedgerHalted)
    if not unheld:
        call.done(debited([FRESH], [(1, blob_of(1))]), True)
    await asyncio.sleep(TIME)
    assert (lane.handed, len(lane.wire.calls)) == ([], 1)


# What rides along.


async def test_what_is_known_goes_without_a_gift_after_a_while_and_again_until_it_is_held() -> None:
    lane = Lane()
    lane.debits.errands.keep([completion(1)])
    assert lane.debits.busy
    await asyncio.sleep(0)
    assert lane.wire.calls == []
    await asyncio.sleep(IDLE + 2 * TIME)
    call = await lane.call()
    assert (lane.packed[-1], lane.rode[-1].completions) == ([], [completion(1)])
    call.done(NotSent("none"), False)
    await asyncio.sleep(IDLE + 2 * TIME)
    call = await lane.call()
    assert lane.rode[-1].completions == [completion(1)]
    call.done(debited([], item=b""), True)
    assert not lane.debits.busy
    assert lane.wire.counts.batches == 0, "no gift was in it"


async def test_what_is_known_goes_with_a_gift_and_once() -> None:
    lane = Lane()
    lane.debits.errands.keep([completion(1)])
    lane.give()
    call = await lane.call()
    assert lane.rode[-1].completions == [completion(1)]
    lane.debits.errands.keep([completion(2)])
    lane.give()
    call.done(debited([FRESH], [(1, blob_of(1))]), True)
    (await lane.call()).done(debited([FRESH], [(1, blob_of(2))]), True)
    assert lane.rode[-1].completions == [completion(2)]
    assert not lane.debits.errands.waiting


async def test_who_gives_up_on_a_call_lets_what_rode_in_it_ride_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane()
    lane.debits.errands.keep([completion(1)])
    lane.give()
    call = await lane.call()
    with monkeypatch.context() as patch:
        patch.setattr(module, "monotonic", lambda: call.until)
        call.done(Unanswered("gone"), False)
    await asyncio.sleep(IDLE + 2 * TIME)
    assert (await lane.call()) is not call
    assert lane.rode[-1].completions == [completion(1)]
