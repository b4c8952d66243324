"""``debit`` and ``credit``, call by call: what each says, keeps and refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting.ledger.cluster.credit_call import APPLIED, BEFORE, EARLY, GONE, PARKED, read_blob
from gifting.ledger.cluster.debit_call import Completion, Riding
from gifting.ledger.cluster.owed import completions
from gifting.ledger.commit_keys import bucket_spot
from gifting.ledger.keys import BUCKET_MS
from gifting.ledger.redis_errors import Fate, fate
from gifting.ledger.status import Status
from gifting.model.money import key_time, parse_key
from tests.support.pair import Pair, a_pair

pytestmark = pytest.mark.one_redis("it sends both calls itself, on the wire of one server")

NOT_KNOWN = (0, 0, 0)
"""Seq, repeat_count and streak of what is pending."""


@pytest.fixture
async def pair(redis_client: Redis, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(redis_url) as pair:
        yield pair


# What is told.


async def test_what_is_taken_is_pending_until_it_is_completed(pair: Pair) -> None:
    key = pair.world.key()
    first = await pair.debit(key=key)
    assert first.replies == [(0, 0, 0, 999, 0, 0)]
    assert (await pair.debit(key=key)).replies == [(1, 0, 0, 999, 0, 0)]
    (told,) = (await pair.credit(first.blobs[0][1])).told
    assert told == (APPLIED, first.epoch, 1, [1, 1, 1])
    done = completions(pair.source, read_blob(first.blobs[0][1]), told.results)
    assert [one.key for one in done] == [parse_key(key)]
    riding = Riding({pair.to: told.epoch}, first.epoch, [first.item], done)
    again = await pair.debit(key=key, riding=riding)
    assert again.replies == [(1, 0, 1, 999, 1, 1)]
    assert await pair.redis.xlen(f"{pair.source}:outbox") == 0
    refused = await pair.debit(key=key, count=1, riding=Riding(completions=[done[0]._replace(seq=9)]))
    assert refused.replies == [(1, 0, 1, 999, 1, 1)], "what is known is not changed"


async def test_what_is_not_kept_is_not_completed(pair: Pair) -> None:
    refused, other = pair.world.key(), pair.world.key()
    dear: dict[str, Any] = {"gift": "crown", "item_count": 99}
    assert (await pair.debit(key=refused, **dear)).replies[0][1] == Status.INSUFFICIENT_COINS
    before = await pair.redis.hgetall(f"{pair.source}:keys:{key_time(parse_key(refused)) // BUCKET_MS}")
    spot = bucket_spot(pair.source, key_time(parse_key(refused)) // BUCKET_MS)
    await pair.debit(0, Riding(completions=[Completion(spot, parse_key(key), 5, 5, 5) for key in (refused, other)]))
    assert await pair.redis.hgetall(f"{pair.source}:keys:{key_time(parse_key(refused)) // BUCKET_MS}") == before


# Order.


async def test_what_comes_before_its_turn_is_parked_and_told_afterwards(pair: Pair) -> None:
    blobs = [await pair.blob(count) for count in (1, 2, 3)]
    assert await pair.how(*blobs[1:]) == [PARKED, PARKED]
    assert await pair.how(blobs[1]) == [PARKED]
    assert await pair.parked() == [2, 3]
    said = await pair.credit(blobs[0])
    assert [told.how for told in said.told] == [APPLIED]
    assert [(one.seq, one.results[::3]) for one in said.parked] == [(2, [2, 3]), (3, [4, 5, 6])]
    (told,) = (await pair.credit(blobs[2])).told
    assert (told.how, told.seq, told.results) == (BEFORE, 3, said.parked[1].results)
    (told,) = (await pair.credit(blobs[0])).told
    assert (told.how, told.results) == (BEFORE, None)
    assert await pair.redis.hkeys(pair.park) != []


async def test_what_is_parked_is_bounded(pair: Pair) -> None:
    blobs = [await pair.blob() for _ in range(66)]
    assert await pair.how(blobs[65], blobs[64]) == [EARLY, EARLY], "64 are waited for"
    assert await pair.how(blobs[63]) == [PARKED]
    assert await pair.how(*blobs) == [APPLIED] * 63 + [BEFORE] + [APPLIED] * 2


# Sources that go back.


async def test_what_was_credited_and_lost_is_fenced_and_its_numbers_are_given_again(pair: Pair) -> None:
    blobs = [await pair.blob()]
    line = await pair.redis.dump(pair.line)
    blobs += [await pair.blob(), await pair.blob(), await pair.blob()]
    assert await pair.how(*blobs[:3]) == [APPLIED] * 3
    await pair.go_back(line)
    again = await pair.blob()
    assert read_blob(again).seq == 2
    assert await pair.how(again, blobs[3], blobs[1], blobs[0]) == [APPLIED, GONE, GONE, BEFORE]
    assert await pair.fenced() == [(2, 3)]
    ((_, noted),) = await pair.redis.xrange(f"{pair.room.base}:fenced")
    epochs = [read_blob(blob).epoch for blob in (blobs[0], again)]
    assert [int(noted[name]) for name in (b"had", b"lost", b"at")] == [*epochs, pair.world.clock[0]]
    assert await pair.how(await pair.blob()) == [APPLIED]
    assert len(await pair.fenced()) == 1
    assert len(await pair.world.log()) == 5


async def test_of_two_that_came_early_the_later_epoch_s_holds(pair: Pair) -> None:
    first = await pair.blob()
    line = await pair.redis.dump(pair.line)
    lost = [await pair.blob(), await pair.blob(2)]
    await pair.go_back(line)
    again = [await pair.blob(), await pair.blob(3)]
    assert await pair.how(lost[1], again[1], lost[1]) == [PARKED] * 3
    assert await pair.parked() == [3]
    said = await pair.credit(first, again[0])
    assert [told.how for told in said.told] == [APPLIED] * 2
    assert [(one.seq, len(one.results)) for one in said.parked] == [(3, 9)]
    assert await pair.fenced() == []


async def test_what_is_lost_is_gone_from_where_its_loss_began(pair: Pair) -> None:
    """As soon as anything of the later epoch is seen."""
    blobs = [await pair.blob(), await pair.blob()]
    line = await pair.redis.dump(pair.line)
    lost = await pair.blob()
    await pair.go_back(line)
    _, last = await pair.blob(), await pair.blob()
    assert await pair.how(*blobs, last, lost) == [APPLIED, APPLIED, PARKED, GONE]
    assert await pair.fenced() == []


async def test_of_two_losses_the_first_is_over_where_the_second_is_seen(pair: Pair) -> None:
    first = await pair.blob()
    line = await pair.redis.dump(pair.line)
    await pair.go_back(line)
    lost = [await pair.blob(), await pair.blob()]
    await pair.go_back(line)
    assert await pair.how(first, await pair.blob(), lost[1], lost[0]) == [APPLIED, APPLIED, GONE, GONE]
    assert await pair.how(await pair.blob()) == [APPLIED]
    assert await pair.fenced() == []


async def test_what_is_parked_and_lost_is_not_credited(pair: Pair) -> None:
    first = await pair.blob()
    line = await pair.redis.dump(pair.line)
    lost = [await pair.blob(), await pair.blob()]
    assert await pair.how(lost[1]) == [PARKED]
    await pair.go_back(line)
    said = await pair.credit(first, await pair.blob())
    assert [told.how for told in said.told] == [APPLIED] * 2
    assert (said.parked, await pair.parked()) == ([], [])
    assert len(await pair.world.log()) == 2


async def test_what_is_parked_waits_on_where_what_is_before_it_turns_out_to_be_lost(pair: Pair) -> None:
    """Two numbers go up to it, of which the second is another's in its epoch."""
    blobs = [await pair.blob(), await pair.blob()]
    line = await pair.redis.dump(pair.line)
    lost = await pair.blob()
    await pair.go_back(line)
    again, last = await pair.blob(2), await pair.blob(3)
    assert await pair.how(blobs[0], last) == [APPLIED, PARKED]
    assert await pair.how(blobs[1], lost) == [APPLIED] * 2
    assert await pair.fenced() == [(3, 3)]
    said = await pair.credit(again)
    assert [told.how for told in said.told] == [APPLIED]
    assert [(one.seq, len(one.results)) for one in said.parked] == [(4, 9)]


async def test_what_is_parked_and_expired_comes_from_the_outbox(pair: Pair) -> None:
    blobs = [await pair.blob() for _ in range(3)]
    assert await pair.how(blobs[1], blobs[2]) == [PARKED] * 2
    await pair.redis.delete(pair.park)
    assert await pair.how(blobs[0]) == [APPLIED]
    assert await pair.how(blobs[2]) == [PARKED]
    said = await pair.credit(blobs[1])
    assert [told.how for told in said.told] == [APPLIED]
    assert [one.seq for one in said.parked] == [3]
    assert await pair.parked() == []


async def test_what_is_parked_expires(pair: Pair) -> None:
    blobs = [await pair.blob() for _ in range(2)]
    await pair.how(blobs[1])
    assert 50_000 < await pair.redis.pttl(pair.park) <= 60_000
    await pair.redis.persist(pair.park)
    await pair.how(blobs[0])
    assert 50_000 < await pair.redis.pttl(pair.park) <= 60_000
    assert await pair.redis.hlen(pair.park) == 1, "what became of it, and no more"


async def test_a_history_without_a_loss_fences_nothing(pair: Pair) -> None:
    blobs = [await pair.blob(), await pair.blob()]
    assert await pair.how(blobs[0]) == [APPLIED]
    await pair.redis.hset(pair.line, "lineage", "another")
    blobs.append(await pair.blob())
    assert await pair.how(blobs[2], blobs[1], blobs[0]) == [PARKED, APPLIED, BEFORE]
    assert await pair.fenced() == []


async def test_a_partition_that_is_not_reached_is_refused_after_64_epochs(pair: Pair) -> None:
    for _ in range(64):
        await pair.redis.hset(pair.line, "lineage", "another")
        last = await pair.debit()
    await pair.redis.hset(pair.line, "lineage", "another")
    before = await pair.world.state()
    with pytest.raises(ResponseError, match="UNREACHED") as refused:
        await pair.debit()
    assert fate(refused.value) is Fate.NOT_RUN
    assert await pair.world.state() == before
    epoch = read_blob(last.blobs[0][1]).epoch
    assert (await pair.debit(riding=Riding(reached={pair.to: epoch}))).replies[0][1] == Status.OK


@pytest.mark.parametrize("half", ["debit", "credit"])
async def test_an_epoch_begins_with_the_first_call_of_another_history(pair: Pair, half: str) -> None:
    """It is the one after the last, and the time at least."""
    blob, line = await pair.blob(), pair.line if half == "debit" else f"{pair.room.base}:line"

    async def epochs(before: int) -> list[int]:
        await pair.redis.hset(line, mapping={"lineage": "another", "epoch": before})
        found = []
        for _ in range(2):
            await (pair.debit(0) if half == "debit" else pair.credit(blob))
            found.append(int(await pair.redis.hget(line, "epoch")))
        return found

    now = pair.world.clock[0]
    first, second = await epochs(before=5)
    assert now <= first == second <= pair.world.clock[0]
    assert await epochs(before=2**50) == [2**50 + 1] * 2


# Partitions that are not there, or have nothing of it.


@pytest.mark.parametrize("half", ["debit", "credit"])
async def test_a_partition_that_has_lost_its_data_is_not_written(pair: Pair, half: str) -> None:
    blob = await pair.blob()
    await pair.redis.delete(pair.line if half == "debit" else f"{pair.room.base}:line")
    before = await pair.world.state()
    with pytest.raises(ResponseError, match="UNBORN") as refused:
        await (pair.debit() if half == "debit" else pair.credit(blob))
    assert fate(refused.value) is Fate.BROKEN, "the ledger is halted"
    assert await pair.world.state() == before


async def test_a_host_gets_what_was_given_in_a_room_that_is_gone(pair: Pair) -> None:
    blob = await pair.blob(2)
    await pair.redis.delete(f"{pair.room.base}:room:{pair.room.id}")
    (told,) = (await pair.credit(blob)).told
    assert (told.how, told.results) == (APPLIED, [0, 1, 0, 0, 1, 0])
    assert (await pair.world.ledger.wallets.read(pair.room.host)).diamonds == 1000
    assert await pair.redis.exists(f"{pair.room.base}:room:{pair.room.id}") == 0


@pytest.mark.parametrize("what", ["duplicate", "refused", "nothing", "before", "nothing to credit"])
async def test_each_call_writes_something_that_can_be_waited_for(pair: Pair, what: str) -> None:
    key = pair.world.key()
    first = await pair.debit(key=key)
    await pair.credit(first.blobs[0][1])
    changes = (await pair.redis.info("persistence"))["rdb_changes_since_last_save"]
    if what == "duplicate":
        await pair.debit(key=key)
    elif what == "refused":
        await pair.debit(key=pair.world.key(age=-900_000))
    elif what == "nothing":
        await pair.debit(0)
    elif what == "nothing to credit":
        assert await pair.how() == []
    else:
        assert await pair.how(first.blobs[0][1]) == [BEFORE]
    assert (await pair.redis.info("persistence"))["rdb_changes_since_last_save"] > changes
