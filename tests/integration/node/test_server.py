"""The running product, end to end: a gift from one socket to another, paid for once, over restarts and kills."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from gifting import Client, errors
from tests.support.server import Server
from tests.support.waiting import WITHIN

pytestmark = pytest.mark.slow


@pytest.fixture
async def server(tmp_path: Path, server_redis: str) -> Any:
    async with Server(tmp_path / "data", server_redis, member_rate=0) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann", "bob"], 1000)
        yield running


async def gifts(client: Client, count: int) -> list[dict[str, Any]]:
    """The next ``count`` gift events."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WITHIN):
        async for event in client.events():
            if event["type"] == "gift":
                found.append(event)
                if len(found) == count:
                    break
    return found


async def test_a_gift_reaches_the_overlay_and_is_paid_once(server: Server) -> None:
    async with (
        Client(server.url, server.token("ann", name="Ann")) as ann,
        Client(server.url, server.token("host", "overlay", room="r1")) as overlay,
    ):
        await overlay.join("r1")
        key = ann.new_key()
        first = await ann.send_gift("r1", "spark", 3, "hello", key=key)
        again = await ann.send_gift("r1", "spark", 3, "hello", key=key)
        assert first["coins"] == again["coins"] == 997
        assert (first["duplicate"], again["duplicate"]) == (False, True)
        event, end = await gifts(overlay, 2)
        assert event["user"]["name"] == "Ann"
        assert (event["count"], event["repeat_count"], event["repeat_end"]) == (3, 3, False)
        assert (end["count"], end["repeat_count"], end["repeat_end"]) == (0, 3, True)
        assert event["streak_id"] == end["streak_id"] == first["streak_id"]
    assert await server.operator.wallets(["ann"]) == {"ann": 997}
    assert (await server.audit())[0] == 0


async def test_refusals_charge_nothing(server: Server) -> None:
    async with Client(server.url, server.token("ann")) as ann:
        with pytest.raises(errors.InsufficientCoins):
            await ann.send_gift("r1", "galaxy")
        with pytest.raises(errors.UnknownGift):
            await ann.send_gift("r1", "no-such-gift")
        with pytest.raises(errors.RoomNotFound):
            await ann.send_gift("elsewhere", "spark")
        with pytest.raises(errors.BadKey):
            await ann.send_gift("r1", "spark", key="5a3f")
        key = ann.new_key()
        await ann.send_gift("r1", "spark", key=key)
        with pytest.raises(errors.KeyReused):
            await ann.send_gift("r1", "spark", 2, key=key)
    async with Client(server.url, server.token("host", "creator")) as host:
        with pytest.raises(errors.OwnRoom):
            await host.send_gift("r1", "spark")
    assert await server.operator.wallets(["ann"]) == {"ann": 999}


async def test_an_overlay_misses_nothing_when_the_server_is_killed(server: Server) -> None:
    async with (
        Client(server.url, server.token("ann")) as ann,
        Client(server.url, server.token("host", "overlay", room="r1")) as overlay,
    ):
        await overlay.join("r1")
        await ann.send_gift("r1", "spark")
        await server.stop(signal.SIGKILL)
        sending = [asyncio.create_task(ann.send_gift("r1", "spark")) for _ in range(5)]
        await server.start()
        replies = await asyncio.gather(*sending)
        events = await gifts(overlay, 7)
        seqs = [event["seq"] for event in events]
        assert seqs == sorted(set(seqs))
        assert {reply["seq"] for reply in replies} <= set(seqs)
        assert [event["repeat_end"] for event in events].count(True) >= 1
    assert await server.operator.wallets(["ann"]) == {"ann": 994}
    status, said = await server.audit()
    assert status == 0, said


async def test_two_nodes_on_one_redis_are_one_room(redis_url: str, redis_client: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with Server(tmp_path / "a" / "data", redis_url) as one, Server(tmp_path / "b" / "data", redis_url) as two:
        await one.room("r1")
        await one.operator.grant_each(["ann"], 100)
        async with Client(one.url, one.token("ann")) as ann, Client(two.url, two.token("bob")) as bob:
            await bob.join("r1", lane="all")
            key = ann.new_key()
            await ann.send_gift("r1", "spark", key=key)
            (event,) = await gifts(bob, 1)
            assert event["user"]["id"] == "ann"
        async with Client(two.url, two.token("ann")) as ann:
            assert (await ann.send_gift("r1", "spark", key=key))["duplicate"]
        assert await two.operator.wallets(["ann"]) == {"ann": 99}


async def test_a_stopped_server_keeps_its_books(tmp_path: Path, server_redis: str) -> None:
    server = Server(tmp_path / "data", server_redis)
    async with server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 100)
        async with Client(server.url, server.token("ann")) as ann:
            await ann.send_gift("r1", "crown")
    assert (await server.audit())[0] == 0
    async with server:
        assert await server.operator.wallets(["ann"]) == {"ann": 1}


async def test_a_revoked_overlay_is_closed(server: Server) -> None:
    made = await server.operator.call("POST", "/v1/rooms/r1/overlay-tokens", {"ttl": 1000})
    async with Client(server.url, made["token"]) as overlay:
        await overlay.join("r1")
        await server.operator.call("DELETE", f"/v1/rooms/r1/overlay-tokens/{made['token_id']}")
        with pytest.raises(errors.Denied):
            async with asyncio.timeout(WITHIN):
                async for _ in overlay.events():
                    pass


async def test_two_workers_share_a_port_and_a_room(tmp_path: Path, server_redis: str) -> None:
    async with Server(tmp_path / "data", server_redis, workers=2) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 100)
        clients = [Client(server.url, server.token(f"v{number}")) for number in range(8)]
        async with Client(server.url, server.token("ann")) as ann:
            for client in clients:
                await client.__aenter__()
                await client.join("r1", lane="all")
            await ann.send_gift("r1", "spark")
            for client in clients:
                assert (await gifts(client, 1))[0]["user"]["id"] == "ann"
                await client.close()
    assert (await server.audit())[0] == 0


async def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", workers=2) as server:
        assert server.process is not None
        async with asyncio.timeout(WITHIN):
            while len(children := psutil.Process(server.process.pid).children()) < 3:  # and its Redis
                await asyncio.sleep(0)
            workers = [child for child in children if "redis" not in child.name()]
            await server.operator.call("GET", "/readyz")
            await server.stop(signal.SIGKILL)
            while any(worker.is_running() for worker in workers):
                await asyncio.sleep(0)
        await server.start()  # the port is free, and the Redis that was left is taken over
        await server.room("r1")


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"redis": "redis://127.0.0.1:1"}, "no_redis"),
        ({"diamonds_per_coin": "999.999999"}, "bad_setting"),
        ({"catalog": "/nowhere.toml"}, "bad_catalog"),
        ({"origin": "x"}, "bad_setting"),
    ],
)
async def test_what_can_not_start_says_why_in_a_line(tmp_path: Path, setting: dict[str, str], code: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")),
        env=os.environ | {f"GIFTING_{name.upper()}": value for name, value in setting.items()},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert f"gifting: {code}: " in said.decode()
    assert "Traceback" not in said.decode()


async def test_a_connection_joins_only_so_many_rooms(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Server(tmp_path / "data", redis_url, connection_rooms=2) as server:
        for number in range(4):
            await server.room(f"r{number}")
        async with Client(server.url, server.token("ann")) as ann:
            joins = [ann.join(f"r{number}") for number in range(4)]
            outcomes = await asyncio.gather(*joins, return_exceptions=True)
            assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 2
