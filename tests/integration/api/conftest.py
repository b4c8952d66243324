"""A server with an archive, for what is told of the past; files that need another server have their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting.archive.store import open_store
from tests.support.keys import new_key
from tests.support.server import Server


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    """With an archive that nobody has written into: all is in Redis alone yet."""
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    store = open_store(url)
    await store.upgrade()
    await store.close()
    async with Server(tmp_path / "data", redis_url, archive=url) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 1000)
        gift = {"gift": "spark", "count": 3, "key": new_key()}
        await running.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)
        yield running
