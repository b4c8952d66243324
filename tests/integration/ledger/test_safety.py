"""A Redis that can lose what it acknowledged is refused, at the start and later, unless one says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gifting.config import load
from gifting.errors import BadSetting
from gifting.health import Health
from gifting.ledger import safety
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.ledger import Ledger
from gifting.ledger.safety import WANTED, watch_safety
from gifting.model.catalog import load_catalog
from gifting.tasks import end

RISKS = {
    "appendonly": "no",
    "appendfsync": "everysec",
    "no-appendfsync-on-rewrite": "yes",
    "maxmemory-policy": "allkeys-lru",
}


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[EmbeddedRedis]:
    embedded = EmbeddedRedis(tmp_path / "data")
    await embedded.start()
    yield embedded
    await embedded.stop()


@pytest.fixture
async def client(embedded: EmbeddedRedis) -> AsyncIterator[Redis]:
    async with Redis.from_url(embedded.url) as client:
        yield client


async def start(url: str, **flags: bool) -> None:
    ledger = Ledger(url, load(flags, environ={}), load_catalog())
    try:
        await ledger.start()
    finally:
        await ledger.stop()


def test_every_wanted_setting_has_its_risk() -> None:
    assert RISKS.keys() == WANTED.keys()


@pytest.mark.parametrize("name", RISKS)
async def test_a_risk_is_refused_by_name(
    embedded: EmbeddedRedis, client: Redis, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await start(embedded.url)
    await client.config_set(name, RISKS[name])
    with pytest.raises(BadSetting, match=f"has {name} {RISKS[name]}.*set {name} {WANTED[name]}.*--allow-unsafe-redis"):
        await start(embedded.url)
    assert caplog.text == ""
    await start(embedded.url, allow_unsafe_redis=True)
    assert f"{name} {RISKS[name]}" in caplog.text


async def test_a_redis_that_does_not_tell_is_refused(embedded: EmbeddedRedis, client: Redis) -> None:
    await client.acl_setuser(
        "app", enabled=True, passwords=["+secret"], keys="*", channels="*", commands=["+@all", "-config"]
    )
    url = embedded.url.replace("unix://", "unix://app:secret@")
    with pytest.raises(BadSetting, match=r"does not tell its settings.*appendfsync always"):
        await start(url)
    await start(url, allow_unsafe_redis=True)


async def test_a_change_at_run_time_turns_readiness_red(
    embedded: EmbeddedRedis, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safety, "CHECK_EVERY", 0.01)
    health = Health()
    watch = asyncio.create_task(watch_safety(client, health))
    async with asyncio.timeout(30):
        for value, ready in (("everysec", False), ("always", True)):
            await client.config_set("appendfsync", value)
            while (not health.problems) is not ready:
                await asyncio.sleep(0.01)
            assert ready or "appendfsync everysec" in health.problems["redis"]
    await end([watch])


@pytest.mark.parametrize(("text", "value"), [("1", True), ("True", True), ("no", False), ("0", False)])
def test_the_flag_from_the_environment(text: str, value: bool) -> None:
    assert load(environ={"GIFTING_ALLOW_UNSAFE_REDIS": text}).allow_unsafe_redis is value


def test_what_is_no_yes_or_no() -> None:
    with pytest.raises(BadSetting, match="must be a bool"):
        load(environ={"GIFTING_ALLOW_UNSAFE_REDIS": "maybe"})
