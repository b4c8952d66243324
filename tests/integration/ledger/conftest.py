"""What tests of the ledger share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gifting.ledger import halt
from tests.support.waiting import WITHIN
from tests.support.world import World, a_world


@pytest.fixture
async def world(redis_client: Redis, redis_url: str) -> AsyncIterator[World]:
    async with a_world(redis_url, like_interval=0) as made:
        await made.grant("ann", 1000)
        yield made


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """No node looks whether another has closed the books, which the test opens again before it goes on; who has closed
    them has said so by the end of its stop, however long Redis takes.
    """
    monkeypatch.setattr(halt, "LOOK_PAUSE", 3600.0)
    monkeypatch.setattr(halt, "TELL_WITHIN", WITHIN)
