"""Readiness: what does not work is named, and only for as long as it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gifting.errors import NotReady
from gifting.health import Health
from tests.support.keys import session_keys
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import until


def test_problems_are_what_parts_said_and_what_checks_find() -> None:
    health = Health()
    broken = [""]
    health.check("feed", lambda: broken[0])
    assert health.problems == {}
    health.fail("ledger", "It stopped.")
    broken[0] = "It is silent."
    assert health.problems == {"feed": "It is silent.", "ledger": "It stopped."}
    health.fail("ledger", "It still is.")
    broken[0] = ""
    assert health.problems == {"ledger": "It still is."}
    health.mend("ledger")
    health.mend("ledger")
    assert health.problems == {}


def test_only_news_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    health = Health()
    for _ in range(3):
        health.fail("ledger", "It stopped.")
    assert [record.message for record in caplog.records] == ["not ready: ledger: It stopped."]


def test_what_is_degraded_is_no_problem(caplog: pytest.LogCaptureFixture) -> None:
    health = Health()
    for why in ("It is behind.", "It is more behind."):
        health.degrade("archive", why)
    assert (health.problems, health.degraded) == ({}, {"archive": "It is more behind."})
    health.recover("archive")
    health.recover("archive")
    assert health.degraded == {}
    assert [record.message for record in caplog.records] == [
        "degraded: archive: It is behind.",
        "no longer degraded: archive",
    ]


async def test_readyz_says_that_the_archive_is_behind_and_is_200(
    tmp_path: Path, redis_url: str, redis_client: Any
) -> None:
    async with Server(tmp_path / "data", redis_url, archive_backlog=1) as server:
        assert await server.operator.call("GET", "/readyz") == {"ok": True}
        await redis_client.hset(session_keys(1).meta, "archive", "one")
        await redis_client.xadd(f"{session_keys(16).bases[0]}:ledger", {"e": b""})
        async with asyncio.timeout(20):
            while "degraded" not in (found := await server.operator.call("GET", "/readyz")):
                await asyncio.sleep(0)
        assert found["ok"]
        assert "behind" in found["degraded"]["archive"]


@pytest.mark.one_redis("a proxy before it is shut")
async def test_readyz_names_what_does_not_work(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Proxy(redis_url) as proxy, Server(tmp_path / "data", proxy.url, heartbeat_timeout=0.5) as server:

        async def is_ready() -> bool:
            try:
                await server.operator.call("GET", "/readyz")
            except NotReady as error:
                assert "feed: No events are heard from Redis." in error.message
                return False
            return True

        await until(is_ready)
        async with asyncio.timeout(20):
            proxy.cut(refuse=True)
            while await is_ready():
                await asyncio.sleep(0)
            proxy.mend()
            while not await is_ready():
                await asyncio.sleep(0)
