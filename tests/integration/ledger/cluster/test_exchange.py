"""An exchange with a node that is closed while it is under way, at every moment."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from gifting.ledger import address
from gifting.ledger.cluster.exchange import Exchange
from gifting.ledger.redis_errors import NotSent

MOMENTS: Final = 60


@pytest.mark.attack
@pytest.mark.one_redis("an exchange is with one node")
async def test_who_closes_it_at_any_moment_is_told_of_a_reply_or_of_none(redis_url: str) -> None:
    ends: list[object] = []
    for moment in range(MOMENTS):
        exchange = Exchange(redis_url, 5.0)
        asking = asyncio.ensure_future(exchange([("PING",)]))
        for _ in range(moment):
            await asyncio.sleep(0)
        await exchange.close()
        try:
            ends += await asking
        except NotSent as error:
            ends.append(error)
        await exchange.close()
    assert all(end == b"PONG" or isinstance(end, Exception) for end in ends)
    assert any(isinstance(end, NotSent) for end in ends)


@pytest.mark.one_redis("an exchange is with one node")
async def test_a_node_that_does_not_answer_is_told_as_such(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "CONNECT_TIMEOUT", 0)
    with pytest.raises(NotSent, match="no connection: it does not answer in time"):
        await Exchange(redis_url, 5.0)([("PING",)])
