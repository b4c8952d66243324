"""What ``/metrics`` says, of real servers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gifting import Client, __version__, config, errors
from gifting.api.metrics import TABLE
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from tests.support.engine import Engine
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = pytest.mark.slow


async def scrape(url: str) -> list[Sample]:
    """All samples of one scrape, over a connection of its own."""
    async with httpx.AsyncClient(trust_env=False) as web:
        text = (await web.get(f"{url}/metrics")).text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


async def test_every_row_and_the_process_are_told_with_the_nodes_name(
    tmp_path: Path, redis_url: str, redis_client: Any
) -> None:
    async with Server(tmp_path / "data", redis_url, node="shop") as server:
        samples = await scrape(server.url)
    assert {sample.labels["node"] for sample in samples} == {"shop"}
    names = {sample.name for sample in samples}
    assert {row.name for row in TABLE} <= {name.removesuffix("_total").removesuffix("_bucket") for name in names}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= names
    build = next(sample for sample in samples if sample.name == "gifting_build_info")
    assert (build.labels["version"], build.value) == (__version__, 1)


async def test_a_worker_that_is_started_again_has_its_name_again(
    tmp_path: Path, redis_url: str, redis_client: Any
) -> None:
    async with Server(tmp_path / "data", redis_url, node="shop", workers=2) as server, asyncio.timeout(30):
        await until_named(server, {"shop-1", "shop-2"})
        assert server.process is not None
        for worker in psutil.Process(server.process.pid).children():
            worker.kill()
        await until_named(server, {"shop-1", "shop-2"})


async def until_named(server: Server, names: set[str]) -> None:
    """Scrape until every name was met, and no other."""
    seen: set[str] = set()
    while seen != names:
        with suppress(httpx.TransportError):
            seen |= {sample.labels["node"] for sample in await scrape(server.url)}
        assert seen <= names


async def test_what_is_timed_and_what_is_refused_is_counted(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Server(tmp_path / "data", redis_url) as server:
        await server.room("r1")
        await server.operator.grant("ann", 10, "test")
        async with Client(server.url, server.token("ann")) as ann:
            await ann.join("r1", lane="all")
            await ann.send_gift("r1", "petal")
            with pytest.raises(errors.InsufficientCoins):
                await ann.send_gift("r1", "petal", count=50)
            async for event in ann.events():
                if event["type"] == "gift":
                    break
            with pytest.raises(errors.BadToken):
                async with Client(server.url, "no token"):
                    pass
            with pytest.raises(errors.RoomNotFound):
                await server.operator.room("none")
            await ann.like("r1", 3)
            await server.operator.call("POST", "/v1/tokens/revocations", {"user": "ann"})
            with pytest.raises(errors.GiftingError):
                async for _ in ann.events():
                    pass
        samples = await scrape(server.url)
    value = {sample.name: sample.value for sample in samples if set(sample.labels) == {"node"}}
    by = {(sample.name, sample.labels.get("code") or sample.labels.get("lane")): sample.value for sample in samples}
    if Engine.cluster:  # rounds to masters are timed: a gift is debited in one and credited in another
        assert value["gifting_commit_seconds_count"] >= 2
        assert value["gifting_commit_seconds_sum"] > 0
    else:
        assert value["gifting_commit_seconds_count"] == value["gifting_ledger_batches_total"]
        assert 0 < value["gifting_commit_seconds_sum"] <= value["gifting_ack_seconds_sum"]
    assert value["gifting_ack_seconds_count"] == value["gifting_ledger_items_total"] >= 3
    assert by["gifting_delivery_seconds_count", "all"] >= 1
    assert by["gifting_delivery_seconds_count", "live"] == 0
    assert by["gifting_refusals_total", "insufficient_coins"] == 1
    assert by["gifting_refusals_total", "room_not_found"] >= 1
    assert by["gifting_refusals_total", "bad_token"] >= 1
    assert by["gifting_closes_total", "4502"] == 1
    assert value["gifting_likes_total"] == 3


async def test_coins_are_those_of_all_nodes(redis_url: str, redis_client: Any) -> None:
    settings = config.load({}, environ={})
    one, other = (Ledger(redis_url, settings, load_catalog()) for _ in range(2))
    try:
        await one.start()
        await other.start()
        room = await one.rooms.open("r1", "host", "Host", "")
        await one.wallets.grant("ann", 100, new_key(), "bought", "operator")
        sender = one.gifts.sender("ann", {"id": "ann", "name": "Ann", "picture": "", "level": 0})
        sent = await one.gifts.send(sender, room, "spark", new_key(), 3)
        await other.maintain()
        coins = other.upkeep.coins
        assert (coins.issued, coins.spent) == (100, 100 - sent.coins)
        assert coins.spent > 0
    finally:
        await one.stop()
        await other.stop()
