"""``join`` in Lua: what is much is joined in two steps, or three."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from gifting.ledger import scripts

SCRIPT = scripts.resolve("-- @include join\nreturn join(ARGV, #ARGV - 1, 10)\n")


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 159, 160, 161, 2560, 2561, 3000])
async def test_what_is_joined_is_all_of_it_in_order(redis_client: Redis, count: int) -> None:
    pieces = [str(number) + "," * (number % 3) for number in range(count)]
    reply = await redis_client.eval(SCRIPT, 1, "{p}:none", *pieces, "left out")
    assert reply == "".join(pieces).encode()
