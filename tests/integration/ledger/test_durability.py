"""Acked means durable: the system calls of redis-server, in the order that the kernel saw them.

A killed process can't show this, since what it wrote stays in the kernel's cache; only a power cut would.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from gifting.ledger.embedded import EmbeddedRedis, find_binary
from gifting.ledger.embedded import server as embedded

WAIT = 30.0
CALLS = "write,writev,sendto,sendmsg,pwrite64,fdatasync,fsync,sync_file_range"
STRACE = ("strace", "-D", "-f", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-e", "signal=none")
WRITES = ("write", "writev", "sendto", "sendmsg", "pwrite64")
SYNCS = ("fdatasync", "fsync")

WRITE_AND_PUBLISH = """
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SPUBLISH', ARGV[2], ARGV[3])
return ARGV[4]
"""


@dataclass(frozen=True)
class Call:
    """One finished system call: on which file descriptor, the path behind it, and what was passed."""

    name: str
    fd: int
    path: str
    text: str
    result: int


CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<fd>\d+)<(?P<path>[^>]*)>(?P<text>.*)= (?P<result>-?\d+)")
RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)$")


def parse(trace: str) -> list[Call]:
    """The calls in the order of their ends; one that was interrupted by another thread's is put together."""
    calls, open_calls = [], {}
    for line in trace.splitlines():
        if line.endswith("<unfinished ...>"):
            open_calls[line.split()[0]] = line.removesuffix("<unfinished ...>")
            continue
        resumed = RESUMED.match(line)
        whole = open_calls.pop(resumed["pid"], "") + resumed["rest"] if resumed else line
        if found := CALL.match(whole):
            fd, result = int(found["fd"]), int(found["result"])
            calls.append(Call(found["name"], fd, found["path"], found["text"], result))
    return calls


def test_parse() -> None:
    trace = """\
7  write(5</a b>, "x = 1 <unfinished", 3) = 3
7  write(6<socket:[9]>, "one"..., 3 <unfinished ...>
8  fdatasync(12</d/x.incr.aof> <unfinished ...>
7  <... write resumed>) = 3
8  <... fdatasync resumed>) = -1 EIO (Input/output error)
7  +++ exited with 0 +++
"""
    calls = parse(trace)
    assert [(call.name, call.fd, call.path, call.result) for call in calls] == [
        ("write", 5, "/a b", 3),
        ("write", 6, "socket:[9]", 3),
        ("fdatasync", 12, "/d/x.incr.aof", -1),
    ]


def first(calls: list[Call], after: int, *names: str, fd: int | None = None, text: str = "") -> int:
    """Where the first such successful call is, from ``after`` on."""
    for index in range(after, len(calls)):
        call = calls[index]
        if call.name in names and fd in (None, call.fd) and text in call.text and call.result >= 0:
            return index
    wanted = f"{'/'.join(names)} on fd {fd} with {text!r}"
    raise AssertionError(f"No {wanted} after call {after} of:\n" + "\n".join(map(str, calls)))


def assert_durable_first(calls: list[Call], key: str, replies: dict[int, str]) -> None:
    """The append-only file has ``key``, then is synced, and only then any of ``replies`` (by fd) is sent."""
    appended = first(calls, 0, *WRITES, text=key)
    log = calls[appended]
    assert log.path.endswith(".aof"), log
    synced = first(calls, appended + 1, *SYNCS, fd=log.fd)
    for fd, text in replies.items():
        assert first(calls, 0, *WRITES, fd=fd, text=text) > synced, (fd, text, calls)


ORDERS = {
    "right": ("append", "sync", "reply"),
    "reply before sync": ("append", "reply", "sync"),
    "reply before append": ("reply", "append", "sync"),
    "no sync": ("append", "reply"),
    "sync of the time before": ("sync", "append", "reply"),
    "another file's sync": ("append", "other", "reply"),
    "failed sync": ("append", "failed", "reply"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_wrong_order_is_noticed(order: str) -> None:
    known = {
        "append": Call("write", 12, "/d/x.incr.aof", "key", 9),
        "sync": Call("fdatasync", 12, "/d/x.incr.aof", "", 0),
        "other": Call("fdatasync", 13, "/d/manifest", "", 0),
        "failed": Call("fdatasync", 12, "/d/x.incr.aof", "", -1),
        "reply": Call("write", 5, "socket:[9]", "+OK", 5),
    }
    calls = [known[name] for name in ORDERS[order]]
    if order == "right":
        assert_durable_first(calls, "key", {5: "+OK"})
    else:
        with pytest.raises(AssertionError):
            assert_durable_first(calls, "key", {5: "+OK"})


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the calls of every redis-server started in this test go to."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    probe = subprocess.run([*STRACE, "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"strace may not trace here: {probe.stderr.strip()}")
    trace, script = tmp_path / "trace", tmp_path / "redis-server"
    # -D makes strace the grandchild, so that redis-server keeps the pid and the signals of the script.
    command = shlex.join([*STRACE, "-o", str(trace), str(find_binary())])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    monkeypatch.setattr(embedded, "find_binary", lambda: script)
    return trace


async def finished(trace: Path, pid: int) -> list[Call]:
    """The calls, once strace has noted the end of the process."""
    end = re.compile(rf"^{pid} +\+\+\+ ", re.MULTILINE)
    async with asyncio.timeout(WAIT):
        while not end.search(text := await asyncio.to_thread(trace.read_text)):
            await asyncio.sleep(0.01)
    return parse(text)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Redis, int]]:
    """A client, and the pid of the server that it talks to."""
    server = EmbeddedRedis(folder)
    try:
        url = await server.start()
        assert server.pid is not None
        # One connection, so that all replies go to one descriptor.
        async with Redis.from_url(url, single_connection_client=True) as client:
            yield client, server.pid
    finally:
        await server.stop()


async def descriptor(client: Redis, name: str) -> int:
    """The server's file descriptor of the connection called ``name``."""
    (fd,) = [int(row["fd"]) for row in await client.client_list() if row["name"] == name]
    return fd


async def test_reply_waits_for_the_disk(traced: Path, tmp_path: Path) -> None:
    key, mark = uuid.uuid4().hex, uuid.uuid4().hex
    async with running(tmp_path / "data") as (client, pid):
        await client.client_setname("writer")
        fd = await descriptor(client, "writer")
        assert await client.echo(mark)
        assert await client.set(key, "1")
    calls = await finished(traced, pid)
    # "+OK" has nothing of its own to be known by, but it is what follows the echo.
    calls = calls[first(calls, 0, *WRITES, fd=fd, text=mark) + 1 :]
    assert_durable_first(calls, key, {fd: "+OK"})


async def test_publish_waits_for_the_disk(traced: Path, tmp_path: Path) -> None:
    key, channel, event, reply = (uuid.uuid4().hex for _ in range(4))
    async with running(tmp_path / "data") as (client, pid):
        await client.client_setname("writer")
        async with client.pubsub() as listener:
            await listener.ssubscribe(channel)
            fds = {await descriptor(client, "writer"): reply, await subscriber(client): event}
            assert len(fds) == 2
            assert await client.eval(WRITE_AND_PUBLISH, 1, key, "1", channel, event, reply) == reply.encode()
            await received(listener, event.encode())
    assert_durable_first(await finished(traced, pid), key, fds)


async def subscriber(client: Redis) -> int:
    """The server's file descriptor of the only subscribed connection."""
    (fd,) = [int(row["fd"]) for row in await client.client_list() if row["ssub"] == "1"]
    return fd


async def received(listener: PubSub, event: bytes) -> None:
    async with asyncio.timeout(WAIT):
        async for message in listener.listen():
            if message["data"] == event:
                return
