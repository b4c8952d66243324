"""Calls larger than one Redis command takes arguments: nothing of them is lost where they are cut into pieces."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from gifting.ledger import scripts
from gifting.ledger.audit import audit
from gifting.ledger.status import Status
from gifting.wire.batch import read_batches
from tests.support.world import START, a_world

pytestmark = pytest.mark.attack


ECHO = """#!lua
-- @include chunks
local pairs, fields = {}, {}
for i = 1, tonumber(ARGV[1]) do
  pairs[2 * i - 1], pairs[2 * i], fields[i] = 'field' .. i, 'value' .. i, 'field' .. i
end
call_in_chunks('HSET', KEYS[1], pairs)
return call_in_chunks('HMGET', KEYS[1], fields) or {}
"""


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 999, 1000, 1001, 2001])
async def test_pieces_join_to_the_whole(redis_client: Redis, count: int) -> None:
    found = await redis_client.eval(scripts.resolve(ECHO), 1, "{a}:hash", count)
    assert found == [f"value{number}".encode() for number in range(1, count + 1)]
    assert await redis_client.hlen("{a}:hash") == count


@pytest.mark.parametrize("count", [499, 500, 501, 600, 1000])
@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_many_keys_and_users_in_one_call_and_again(redis_client: Redis, redis_url: str, count: int) -> None:
    """All in one partition and minute, so that they share each hash: 500 pairs fill a command."""
    async with a_world(redis_url, partitions=1, batch_max=1000, ledger_timeout=60) as world:
        users = [f"user{number}" for number in range(count)]
        await asyncio.gather(*(world.grant(user, 3) for user in users))
        gifts = [{"user": user, "key": world.key(), "count": 2} for user in users]
        first = await world.together(*gifts)
        assert [(result.status, result.how, result.coins) for result in first] == [(Status.OK, 0, 1)] * count
        assert [result.seq for result in first] == list(range(1, count + 1))
        again = await world.together(*gifts)
        assert again == [result._replace(how=1) for result in first]
        assert await world.redis.hlen(f"{world.base('ann')}:keys:{START // 60_000}") == count
        room = world.ledger.keys.room("host", "r1")
        assert await world.redis.zcard(f"{room}/top") == await world.redis.hlen(f"{room}/users") == count
        assert await world.redis.hlen(f"{room}/streaks") == 2 * count
        on = await world.together(*({"user": user} for user in users))
        assert [(result.coins, result.repeat_count) for result in on] == [(0, 3)] * count, "streaks go on"
        world.clock[0] += 3_001
        assert (await world.ledger.sweeper.sweep())[0] == count
        report = await audit(world.redis, world.ledger.keys)
        assert (report.lines()[1:], report.gifts) == (["clean"], 2 * count)


@pytest.mark.one_redis("what one call of commit makes of several gifts")
async def test_much_is_published_in_several_messages_and_nothing_of_it_is_lost(
    redis_client: Redis, redis_url: str
) -> None:
    count = 600
    async with a_world(redis_url, batch_max=1000, ledger_timeout=60) as world, redis_client.pubsub() as subscriber:
        await world.grant("ann", count)
        await subscriber.ssubscribe(f"{world.room.base}:events")
        assert await subscriber.get_message(timeout=5), "it is subscribed"
        await world.together(*({"user": "ann"} for _ in range(count)))
        messages, last = [], 0
        while last < count:
            message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=5)
            assert message, f"what is after {last} is not published"
            messages.append(read_batches(message["data"]))
            last = messages[-1][-1].last
    assert len(messages) > 1
    assert sum(batch.count for batches in messages for batch in batches) == count
