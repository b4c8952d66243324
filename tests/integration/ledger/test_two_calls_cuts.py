"""``debit`` and ``credit`` that break off at each of their calls in turn: nothing is owed that is not paid, no number
is given twice, nothing is credited twice, and nobody who asks again is told of a success that was none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting.ledger.cluster.credit_call import APPLIED, BEFORE, read_blob
from gifting.ledger.commit import DUPLICATE
from gifting.ledger.entries import Credit, Debit
from gifting.ledger.redis_errors import Fate, fate
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, read_ledger
from gifting.model.money import parse_key
from gifting.model.packing import unpack_raw
from tests.support.lua import hook
from tests.support.pair import Pair, a_pair

pytestmark = [pytest.mark.attack, pytest.mark.one_redis("it sends both calls itself, on the wire of one server")]

CALLS_MAX = 60


@pytest.fixture
async def pair(redis_client: Redis, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(redis_url) as pair:
        yield pair


class Broken:
    """Scripts that fail at their ``redis.call`` number ``at``, and at all after it where that ``stays``."""

    def __init__(self, at: int, stays: bool) -> None:
        self._patch = pytest.MonkeyPatch()
        when = "calls >= at" if stays else "calls == at"
        self._call = f"calls = calls + 1; if {when} then error({{ err = 'ERR broken off' }}, 0) end"
        self._before = f"local calls, at = 0, {at}"
        self.off = False

    def __enter__(self) -> Broken:
        hook(self._patch, self._before, f"{self._call}; return real.call(command, key, ...)")
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        self._patch.undo()
        if not isinstance(error, ResponseError):
            return False
        assert "broken off" in str(error)
        assert fate(error) is Fate.BROKEN, "the ledger is halted"
        self.off = True
        return True


async def entries(pair: Pair, base: str, kind: type[Debit | Credit]) -> list[bytes]:
    """The keys of what a partition's ledger has of debits, or of credits."""
    return [entry.key async for _, _, entry in read_ledger(pair.redis, {base: Span()}) if isinstance(entry, kind)]


def keys_of(packed: bytes) -> list[bytes]:
    """Of a blob's gifts, in order."""
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(unpack_raw(packed)[5])
    return list[Any](unpacker)[2::11]


async def owed(pair: Pair) -> dict[int, list[bytes]]:
    """What is in the outbox: keys by their numbers."""
    found: dict[int, list[bytes]] = {}
    for _, fields in await pair.redis.xrange(f"{pair.source}:outbox"):
        for packed in fields.values():
            seq = read_blob(packed).seq
            assert seq not in found, "a number was given twice"
            found[seq] = keys_of(packed)
    return found


@pytest.mark.parametrize("stays_broken", [False, True])
async def test_a_debit_that_breaks_off(pair: Pair, stays_broken: bool) -> None:
    halfway = 0
    for at in range(1, CALLS_MAX):
        key = pair.world.key()
        with Broken(at, stays_broken) as broken:
            await pair.debit(key=key)
        is_owed = [parse_key(key)] in (await owed(pair)).values()
        is_paid = parse_key(key) in await entries(pair, pair.source, Debit)
        assert is_paid or not is_owed
        again = await pair.debit(key=key)
        await owed(pair)
        ((how, status, *_),) = again.replies
        if not broken.off:
            break
        halfway += is_paid
        if how == DUPLICATE and status == Status.OK:
            assert is_owed
        elif is_paid and not stays_broken:
            assert (how, status, again.blobs) == (DUPLICATE, Status.OUTCOME_UNKNOWN, [])
    assert 8 < at < CALLS_MAX - 1
    assert halfway > 2


@pytest.mark.parametrize("stays_broken", [False, True])
async def test_a_credit_that_breaks_off(pair: Pair, stays_broken: bool) -> None:
    """With one behind it that had come early."""
    halfway = 0
    for at in range(1, CALLS_MAX):
        blobs = [await pair.blob() for _ in range(2)]
        await pair.credit(blobs[1])
        with Broken(at, stays_broken) as broken:
            await pair.credit(blobs[0])
        given = [key for blob in blobs for key in keys_of(blob)]
        halfway += any(key in given for key in await credited(pair))
        assert set(await pair.how(*blobs)) <= {APPLIED, BEFORE}
        found = await credited(pair)
        assert len(found) == len(set(found)), "credited twice"
        assert [key for key in found if key in given] == [key for key in given if key in found], "in order"
        if not broken.off:
            break
    assert 10 < at < CALLS_MAX - 1
    assert found[-2:] == given
    assert halfway > 2


async def credited(pair: Pair) -> list[bytes]:
    return await entries(pair, pair.room.base, Credit)
