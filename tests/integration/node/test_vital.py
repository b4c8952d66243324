"""Whatever ends a task that must not end: the process says so, ends, and is started again; nobody is left waiting."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gifting import Client, config, errors, node, workers
from gifting.health import Health
from gifting.ledger.commit import read_replies
from gifting.ledger.embedded import EmbeddedRedis
from gifting.ledger.embedded import server as embedded
from gifting.serving import listen
from gifting.tasks import Vital
from tests.support.keys import new_key
from tests.support.proxy import RedisProxy
from tests.support.server import SECRET, Server
from tests.support.till import BATCH, till_at

pytestmark = pytest.mark.slow

WAIT = 60.0

TASKS = (
    *("feed", "watch", "key files", "jwks", "viewers", "rooms", "lobby", "sweep", "upkeep", "halt", "safety"),
    *("serve", "reload", "ledger: connection"),
)
"""All that one process runs for ever."""


def is_vital(task: asyncio.Task[Any]) -> bool:
    return task.get_name() in TASKS


async def break_task(name: str) -> None:
    """What the task waits for fails, in a way that nobody has thought of."""
    async with asyncio.timeout(WAIT):
        while True:
            for task in asyncio.all_tasks():
                waiting: Any = getattr(task, "_fut_waiter", None)
                if task.get_name() != name or isinstance(waiting, asyncio.Task):
                    continue
                if waiting is not None and not waiting.done():  # else the task goes on in the next pass of the loop
                    waiting.set_exception(RuntimeError("broken on purpose"))
                    return
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def own_gc() -> Iterator[None]:
    """A node tunes the collector of its process."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def settings_for(tmp_path: Path, redis: str, **flags: Any) -> config.Settings:
    own = {"port": 0, "secret": SECRET, "data_dir": str(tmp_path / "data"), "redis": redis, "drain_timeout": 1}
    return config.load({**own, **flags}, environ={})


async def run_node(settings: config.Settings, url: str, vital: Vital, ready: asyncio.Event) -> None:
    listeners = listen(settings)
    try:
        await node.Node(settings, url, listeners, vital).run(ready.set)
    finally:
        for listener in listeners:
            listener.close()


@pytest.mark.parametrize("name", TASKS)
async def test_a_task_that_ends_takes_the_node_down(
    tmp_path: Path, redis_client: Any, redis_url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    vital, ready = Vital(Health()), asyncio.Event()
    running = asyncio.create_task(run_node(settings_for(tmp_path, redis_url), redis_url, vital, ready))
    async with asyncio.timeout(WAIT):
        await vital.until(ready.wait())
        assert {task.get_name() for task in asyncio.all_tasks() if is_vital(task)} == set(TASKS)
        await break_task(name)
        with pytest.raises(errors.ServerFailed, match=name):
            await running
    assert vital.health.problems[name] == "It ended (RuntimeError); this process stops."
    (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert "broken on purpose" in str(record.exc_info)


@pytest.mark.one_redis("a proxy stands before it")
async def test_nobody_waits_for_a_batcher_that_has_ended(redis_client: Any, redis_url: str) -> None:
    async with RedisProxy(redis_url) as proxy, till_at(proxy.url) as till:
        proxy.mute = True
        till.send(BATCH)
        await asyncio.wait_for(proxy.swallowed.wait(), WAIT)
        till.send(1)
        till.post()
        await break_task("ledger: connection")
        outcomes = (await till.everyone())[1:]
        assert {type(outcome) for outcome in outcomes[:BATCH]} == {errors.OutcomeUnknown}
        assert {type(outcome) for outcome in outcomes[BATCH:]} == {errors.LedgerUnavailable}
        with pytest.raises(errors.LedgerUnavailable):
            till.send(1)
        await asyncio.wait_for(till.ledger.batcher.drain(), WAIT)


def garbled(data: bytes) -> bytes:
    """A commit's reply that is no msgpack; all else as it is."""
    return data.replace(b"\xdd\0\0\0", b"\xc1\0\0\0")


@pytest.mark.parametrize("change", [garbled, lambda data: data.replace(b"\xdd\0\0\0\x02", b"\xdd\0\0\0\x01")])
@pytest.mark.one_redis("a proxy stands before it")
async def test_a_reply_that_makes_no_sense(redis_client: Any, redis_url: str, change: Any) -> None:
    """All of its items are told that nobody knows, each once."""
    vital = Vital(Health())
    async with RedisProxy(redis_url) as proxy, till_at(proxy.url, vital=vital) as till:
        proxy.change = change
        till.send(2)
        assert {type(outcome) for outcome in (await till.everyone())[1:]} == {errors.OutcomeUnknown}
    assert list(vital.health.problems) == ["ledger: connection"]
    with pytest.raises(errors.ServerFailed):
        vital.check()


@pytest.mark.one_redis("a proxy stands before it")
async def test_the_process_ends_with_an_error(tmp_path: Path, redis_client: Any, redis_url: str) -> None:
    async with RedisProxy(redis_url) as proxy, Server(tmp_path / "data", proxy.url) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 10)
        async with Client(server.url, server.token("ann"), deadline=2) as ann:
            await ann.join("r1")
            proxy.change = garbled
            with pytest.raises(errors.OutcomeUnknown):
                await ann.send_gift("r1", "spark")
        assert server.process is not None
        assert await asyncio.wait_for(server.process.wait(), WAIT) == 2
        said = (tmp_path / "server.log").read_text()
        assert "CRITICAL gifting.tasks: the task 'ledger: connection' must not end and did: this process stops" in said
        assert "Traceback" in said
        assert "server_failed: The task 'ledger: connection' ended." in said


@pytest.mark.one_redis("a proxy stands before it")
async def test_a_worker_that_ended_is_started_again(tmp_path: Path, redis_client: Any, redis_url: str) -> None:
    async with (
        RedisProxy(redis_url) as proxy,
        Server(tmp_path / "data", proxy.url, workers=2, member_rate=0) as server,
    ):
        await server.room("r1")
        await server.operator.grant_each(["ann"], 10)
        async with Client(server.url, server.token("ann")) as ann:
            await ann.join("r1")

            def once(data: bytes) -> bytes:
                proxy.change = bytes
                return garbled(data)

            proxy.change = lambda data: once(data) if b"\xdd\0\0\0" in data else data
            key = new_key()
            reply = await ann.send_gift("r1", "spark", key=key)
            assert reply["duplicate"], "it had been taken; the worker that knew of it has ended"
            assert reply["coins"] == 9
        assert "a worker ended with 2; another is started" in (tmp_path / "server.log").read_text()


async def test_the_supervisor_of_redis_takes_the_process_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    vital = Vital(Health())
    server = EmbeddedRedis(tmp_path / "data", vital=vital)
    await server.start()
    monkeypatch.setattr(embedded, "kill_group", broken)
    try:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.wait_for(vital.stop.wait(), WAIT)
        with pytest.raises(errors.ServerFailed, match="redis supervisor"):
            vital.check()
    finally:
        await server.stop()


async def test_who_keeps_the_workers_takes_the_process_down(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no more processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    settings = settings_for(tmp_path, redis_url, workers=2)
    with pytest.raises(errors.ServerFailed, match="worker 1"):
        await workers.run_workers(settings, redis_url, [], Vital(Health()), lambda: None)


async def test_an_end_in_order_is_none(tmp_path: Path, redis_client: Any, redis_url: str) -> None:
    vital, ready = Vital(Health()), asyncio.Event()
    running = asyncio.create_task(run_node(settings_for(tmp_path, redis_url), redis_url, vital, ready))
    async with asyncio.timeout(WAIT):
        await vital.until(ready.wait())
        vital.stop.set()
        await running
    assert not vital.health.problems


@pytest.mark.parametrize("results", [[], [(0,) * 6], [(0,) * 6] * 3, [(0,) * 6, (0,) * 5], [(0,) * 7] * 2, [1, 2], 2])
def test_results_that_do_not_fit_are_none(results: Any) -> None:
    """Before anybody is told."""
    with pytest.raises(ValueError):
        read_replies(msgpack.packb(results), 2)
