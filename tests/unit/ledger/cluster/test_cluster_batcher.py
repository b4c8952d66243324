"""What a batcher of a cluster takes, and until when: its lanes without a cluster."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest

from gifting import errors
from gifting.config import load
from gifting.ledger.cluster import batcher as module
from gifting.ledger.cluster import errands, late
from gifting.ledger.cluster.batcher import ClusterBatcher
from gifting.ledger.cluster.credit_call import read_blob
from gifting.ledger.cluster.debit_call import debit_options
from gifting.ledger.cluster.late import Credited
from gifting.ledger.cluster.link import Call, Query
from gifting.ledger.cluster.parcels import Paid, Parcel
from gifting.ledger.cluster.rounds import Rounds
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.commit import EVENT
from gifting.ledger.commit_call import commit_options
from gifting.ledger.commit_keys import room_spot
from gifting.ledger.redis_errors import NotSent
from gifting.model.packing import pack
from gifting.model.values import Result
from tests.support.lanes import FRESH, KEYS, PENDING, Gifts, blob_of, debited
from tests.support.waiting import WITHIN, until

FREE_MAX, GIFTS_MAX = 3, 2


class Shop(Gifts):
    """A batcher whose calls and queries are seen; all rooms are live."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = Rounds()
        self.calls: list[Call] = []
        self.queries: list[Query] = []
        self.why: list[str] = []
        self.posted: list[Any] = []
        self.settings = load({"batch_queue": GIFTS_MAX, "free_queue": FREE_MAX, "ledger_timeout": 5.0}, environ={})
        self.batcher = ClusterBatcher(self, KEYS, self.settings, lambda: "", self.why.append, lambda *_: None)  # type: ignore[arg-type]

    def send(self, call: Call) -> None:
        self.calls.append(call)

    def ask(self, query: Query) -> None:
        self.queries.append(query)

    def answer(self) -> None:
        for query in self.queries:
            query.done([[b"live", b"host1", None, None], [None, None], 0])
        self.queries.clear()

    def give(self, **more: Any) -> None:
        item = self.gift(**more)
        self.batcher.submit(item.kind, item.sender, item.room, item.target, item.fields, item.done, item.terms)

    def post(self, to: int = 1) -> None:
        fields, spot = pack(("r", f"host{to}", b"\x80", "", 0, 0))[1:], room_spot(KEYS.bases[to], "r", f"host{to}")
        self.batcher.submit(EVENT, None, spot, None, fields, self.posted.append)


@pytest.fixture
async def shop() -> Shop:
    return Shop()


async def sent(shop: Shop, count: int) -> Call:
    await until(lambda: len(shop.calls) == count)
    return shop.calls[-1]


async def test_a_gift_is_debited_in_its_sender_s_partition_and_credited_in_its_room_s(shop: Shop) -> None:
    shop.give(to=2)
    await until(lambda: shop.queries)
    assert [query.slot for query in shop.queries] == [slot_of(KEYS.bases[2])]
    shop.answer()
    debit = await sent(shop, 1)
    assert debit.slot == slot_of(KEYS.bases[0])
    assert b"live" in debit.pack(False), "by what its room has said"
    assert shop.batcher.queued == 1
    debit.done(debited([FRESH], [(2, blob_of(1, 2))]), True)
    credit = await sent(shop, 2)
    assert credit.slot == slot_of(KEYS.bases[2])
    credit.done(pack(([(0, 5, 1, (1, 1, 1))], ())), True)
    assert shop.told[1] == Result(False, 1, 50, 1, 1)
    assert shop.batcher.queued == 0
    assert shop.batcher.counts.took is shop.rounds.took


async def test_gifts_and_what_is_free_have_bounds_of_their_own(shop: Shop) -> None:
    for _ in range(GIFTS_MAX):
        shop.give()
    with pytest.raises(errors.Overloaded):
        shop.give()
    for _ in range(FREE_MAX):
        shop.post()
    with pytest.raises(errors.Overloaded):
        shop.post()
    assert shop.batcher.queued == GIFTS_MAX + FREE_MAX
    free = await sent(shop, 1)
    assert free.slot == slot_of(KEYS.bases[1])
    free.done(pack([(0, 0, 1, 0, 1, 1)] * FREE_MAX), True)
    assert len(shop.posted) == FREE_MAX
    shop.post()
    with pytest.raises(errors.Overloaded):
        shop.give()
    assert shop.batcher.queued == GIFTS_MAX + 1


async def test_who_waits_too_long_is_told_in_each_lane(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.give(to=2)
    shop.give(to=3)
    shop.post()
    await sent(shop, 1)
    shop.post()
    shop.batcher._credit(1, Parcel(1, read_blob(blob_of(1)), [Paid(shop.gift(), 0, 50)], monotonic(), lambda *_: None))
    later = monotonic() + 60
    monkeypatch.setattr(module, "monotonic", lambda: later)
    await until(lambda: len(shop.told) == 3)
    assert [type(shop.told[number]) for number in (1, 2)] == [errors.LedgerUnavailable] * 2
    assert shop.told[3].pending
    assert [type(outcome) for outcome in shop.posted] == [errors.LedgerUnavailable]


async def test_it_looks_while_anybody_waits_and_not_longer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.001)
    assert shop.batcher._ticking is None
    for number in (1, 2):
        shop.post()
        free = await sent(shop, number)
        await asyncio.sleep(0.01)
        assert shop.batcher._ticking is not None
        free.done(pack([(0, 0, 1, 0, 1, 1)]), True)
        await until(lambda: shop.batcher._ticking is None)


async def test_who_drains_it_waits_until_all_is_credited(shop: Shop) -> None:
    shop.give()
    draining = asyncio.create_task(shop.batcher.drain())
    await until(lambda: shop.queries)
    shop.answer()
    (await sent(shop, 1)).done(debited([FRESH], [(1, blob_of(1))]), True)
    credit = await sent(shop, 2)
    assert not draining.done()
    credit.done(pack(([(0, 5, 1, (1, 1, 1))], ())), True)
    last = await sent(shop, 3)
    assert not draining.done(), "what the credit said is kept first"
    last.done(debited([], item=b""), True)
    await draining


async def test_who_drains_it_does_not_wait_for_a_gift_with_which_to_say_what_is_known(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "IDLE", 600.0)
    shop.give()
    await until(lambda: shop.queries)
    shop.answer()
    (await sent(shop, 1)).done(debited([FRESH], [(1, blob_of(1))]), True)
    (await sent(shop, 2)).done(pack(([(0, 5, 1, (1, 1, 1))], ())), True)
    draining = asyncio.create_task(shop.batcher.drain())
    (await sent(shop, 3)).done(debited([], item=b""), True)
    await draining


async def test_who_drains_it_waits_no_longer_than_gifts_do(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.post()
    (await sent(shop, 1)).done(pack([(0, 0, 1, 0, 1, 1)]), True)
    shop.give()
    draining = asyncio.create_task(shop.batcher.drain())
    await asyncio.sleep(0.01)
    later = monotonic() + 60
    monkeypatch.setattr(module, "monotonic", lambda: later)
    await asyncio.wait_for(draining, 30)
    assert isinstance(shop.told[1], errors.LedgerUnavailable)


async def test_who_drains_it_waits_for_what_is_looked_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "PATIENCE", WITHIN)
    known = asyncio.Event()

    async def find(user: str, key: bytes) -> Credited:
        await known.wait()
        return Credited(7, 2, 5)

    shop.batcher.late.use(find)
    shop.give()
    await until(lambda: shop.queries)
    shop.answer()
    (await sent(shop, 1)).done(debited([PENDING], item=b""), True)
    draining = asyncio.create_task(shop.batcher.drain())
    await asyncio.sleep(0.01)
    assert not draining.done()
    known.set()
    (await sent(shop, 2)).done(debited([], item=b""), True)
    await draining
    assert shop.told[1] == Result(True, 7, 50, 2, 5)


@pytest.mark.parametrize("lane", ["debits", "frees", "credits"])
async def test_who_drains_it_waits_for_each_lane(shop: Shop, lane: str) -> None:
    if lane == "debits":
        shop.give()
    elif lane == "frees":
        shop.post()
    else:
        parcel = Parcel(1, read_blob(blob_of(1)), [Paid(shop.gift(), 0, 50)], monotonic(), lambda *_: None)
        shop.batcher._credit(1, parcel)
    draining = asyncio.create_task(shop.batcher.drain())
    await asyncio.sleep(0.01)
    assert not draining.done()
    shop.batcher.close(errors.LedgerHalted)
    if lane == "frees":
        shop.calls[-1].done(NotSent("none"), False)
    await draining


async def test_who_closes_it_takes_nothing_more_and_says_what_is_left_to_the_relays(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.give()
    await until(lambda: shop.queries)
    shop.answer()
    (await sent(shop, 1)).done(debited([FRESH], [(1, blob_of(1))]), True)
    await sent(shop, 2)
    shop.give()
    shop.post()
    shop.batcher.close(errors.LedgerHalted)
    assert shop.told[1].pending
    assert isinstance(shop.told[2], errors.LedgerHalted)
    assert "1 gifts are paid and not credited yet" in caplog.text
    assert [type(outcome) for outcome in shop.posted] == [errors.LedgerHalted]
    for submit in (shop.give, shop.post):
        with pytest.raises(errors.LedgerHalted):
            submit()


async def test_what_is_not_paid_leaves_nothing_to_the_relays(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.give()
    shop.batcher.close(errors.LedgerHalted)
    assert caplog.text == ""


async def test_who_falls_knows_nothing_of_what_was_in_flight(shop: Shop) -> None:
    shop.give()
    shop.post()
    await until(lambda: shop.queries)
    shop.answer()
    await sent(shop, 2)
    shop.give()
    shop.batcher.fall()
    assert [type(shop.told[number]) for number in (1, 2)] == [errors.OutcomeUnknown, errors.LedgerUnavailable]
    assert [type(outcome) for outcome in shop.posted] == [errors.Unconfirmed]
    ticking = shop.batcher._ticking
    assert ticking is not None
    assert ticking.cancelled()


async def test_a_commission_that_changes_goes_with_the_next_calls(shop: Shop) -> None:
    async def packed() -> list[bytes]:
        shop.calls.clear()
        shop.give(to=1)
        shop.post()
        await until(lambda: shop.queries or len(shop.calls) == 2)
        shop.answer()
        await until(lambda: len(shop.calls) == 2)
        said = [call.pack(False) for call in shop.calls]
        for call in shop.calls:
            call.done(NotSent("none"), False)
        return said

    wanted = pack(3333)
    debit, free = sorted(await packed(), key=lambda each: b"ann" not in each)
    assert debit_options(shop.settings, 0, 0) in debit
    assert commit_options(shop.settings, 0) in free
    shop.batcher.use_commission(3333)
    assert all(wanted in each for each in await packed())
    blob = read_blob(blob_of(1))
    assert all(wanted in calls.pack([blob]) for calls in shop.batcher.credit_calls)
