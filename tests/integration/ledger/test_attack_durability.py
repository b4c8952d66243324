"""A disk that fails, that is full, or that others can read: nothing is acknowledged that was not synced."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gifting.bench.soak.shim import FaultShim
from gifting.errors import BadSetting, DiskFailed
from gifting.ledger.embedded import EmbeddedRedis, aof
from tests.support.waiting import until

WAIT = 30.0

pytestmark = pytest.mark.attack
needs_shim = pytest.mark.skipif(not FaultShim.available(), reason="needs Linux and cc")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def shim() -> Iterator[FaultShim]:
    with FaultShim() as shim:
        yield shim


@asynccontextmanager
async def serving(folder: Path, shim: FaultShim | None = None) -> AsyncIterator[EmbeddedRedis]:
    server = EmbeddedRedis(folder, env=shim.env if shim else None)
    await server.start()
    try:
        yield server
    finally:
        if shim:
            shim.clear()
        await server.stop()


async def put(url: str, key: str, value: str) -> None:
    async with Redis.from_url(url) as client:
        await client.set(key, value)


def restarted(server: EmbeddedRedis, times: int) -> bool:
    return server.restarts == times


async def get(url: str, key: str) -> Any:
    """The value, asked for until a server answers."""
    async with asyncio.timeout(WAIT), Redis.from_url(url, decode_responses=True) as client:
        while True:
            with suppress(RedisError):
                return await client.get(key)
            await asyncio.sleep(0.01)


def found(folder: Path, pattern: str = "*") -> list[Path]:
    """The files of a data directory with such names."""
    return [path for path in folder.rglob(pattern) if path.is_file()]


def incr(folder: Path) -> Path:
    """The file that is appended to."""
    return max((folder / "appendonlydir").glob("*.incr.aof"))


# What was loaded from memory only.


@needs_shim
@pytest.mark.parametrize("fault", [FaultShim.die_at_fsync, FaultShim.fail_fsync], ids=["killed", "EIO"])
async def test_what_was_never_synced_is_written_anew(
    shim: FaultShim, folder: Path, fault: Callable[[FaultShim], None]
) -> None:
    async with serving(folder, shim) as server:
        before = incr(folder).stat().st_ino
        fault(shim)
        with pytest.raises(RedisError):
            await put(server.url, "key", "never acknowledged")
        shim.clear()
        assert await get(server.url, "key") == "never acknowledged"  # Redis has loaded it: it must be on disk now
        assert server.restarts > 0
        assert incr(folder).stat().st_ino != before
        assert mode(incr(folder)) == 0o600
        again = incr(folder).stat().st_ino
    async with serving(folder):
        assert incr(folder).stat().st_ino == again  # an end in order needs no copy


@needs_shim
async def test_a_last_sync_that_failed_is_no_end_in_order(shim: FaultShim, folder: Path) -> None:
    server = EmbeddedRedis(folder, env=shim.env)
    await server.start()
    before = incr(folder).stat().st_ino
    shim.fail_fsync()
    await server.stop()  # Redis says that it could not sync, and ends with status 0 all the same
    assert shim.syncs == 1
    shim.clear()
    async with serving(folder):
        assert incr(folder).stat().st_ino != before


OWNER = """
import asyncio, sys
from pathlib import Path
from gifting.errors import GiftingError
from gifting.ledger.embedded import EmbeddedRedis

async def main():
    server = EmbeddedRedis(Path(sys.argv[1]))
    try:
        print(await server.start(), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    except GiftingError as error:
        print(error, flush=True)
    finally:
        await server.stop()

asyncio.run(main())
"""


@asynccontextmanager
async def owner(folder: Path, *wrapper: str, env: dict[str, str] | None = None) -> AsyncIterator[str]:
    """What a process says that has an embedded Redis, which is stopped at the end: its URL, or why it has none."""
    process = await asyncio.create_subprocess_exec(
        *(*wrapper, sys.executable, "-c", OWNER, str(folder)),
        env={**os.environ, **(env or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), WAIT)).decode().strip()
    finally:
        await asyncio.wait_for(process.communicate(b"\n"), WAIT)


SYNCED = re.compile(r"f(?:data)?sync\(\d+<(?P<path>[^>]*)>\) += 0")
REPLACED = re.compile(r'rename\("(?P<old>[^"]*)", "(?P<new>[^"]*)"\) += 0')
SPAWNED = re.compile(r'execve\("[^"]*redis-server", \["[^"]*", "--dir"')
STRACE = ("strace", "-f", "-y", "-s", "4096", "-qq", "-e", "trace=write,fsync,fdatasync,rename,execve,writev")


def position(lines: list[str], what: Callable[[str], object], after: int = -1) -> int:
    """The first line from ``after`` on of which ``what`` holds."""
    for index, line in enumerate(lines[after + 1 :], after + 1):
        if what(line):
            return index
    raise AssertionError(f"missing after line {after}:\n" + "\n".join(lines))


def sync_of(path: Path) -> Callable[[str], bool]:
    return lambda line: bool((match := SYNCED.search(line)) and match["path"] == str(path))


@needs_shim
@needs_strace
async def test_the_retry_is_answered_after_our_sync(shim: FaultShim, folder: Path, tmp_path: Path) -> None:
    """Write, death before the sync, copy, sync of the copy and of its name, a new server, and only then a reply."""
    trace = tmp_path / "trace"
    async with owner(folder, *STRACE, "-o", str(trace), env=shim.env) as url:
        shim.die_at_fsync()
        with pytest.raises(RedisError):
            await put(url, "key", "a-certain-value")
        assert await get(url, "key") == "a-certain-value"
        name = incr(folder)
    lines = trace.read_text().splitlines()
    written = position(lines, lambda line: "write(" in line and f"<{name}>" in line and "a-certain-value" in line)
    synced = position(lines, sync_of(name.with_name(f"temp-{name.name}")), written)
    replaced = position(lines, lambda line: (match := REPLACED.search(line)) and match["new"] == str(name), synced)
    spawned = position(lines, SPAWNED.search, replaced)
    for path in (folder / "appendonlydir", folder, tmp_path):
        assert replaced < position(lines, sync_of(path), replaced) < spawned
    assert position(lines, lambda line: "socket:" in line and "a-certain-value" in line, written) > spawned


@needs_strace
async def test_the_entries_of_a_new_directory_are_synced(folder: Path, tmp_path: Path) -> None:
    trace, inner = tmp_path / "trace", folder / "in" / "here"
    async with owner(inner, *STRACE, "-o", str(trace)) as url:
        assert url.startswith("unix://")
    lines = trace.read_text().splitlines()
    spawned = position(lines, SPAWNED.search)
    for path in (tmp_path, folder, folder / "in", inner, inner / "appendonlydir"):
        assert position(lines, sync_of(path)) < spawned


@needs_strace
async def test_every_file_is_synced_before_it_is_loaded(folder: Path, tmp_path: Path) -> None:
    async with serving(folder) as server:
        await put(server.url, "key", "x")
    trace = tmp_path / "trace"
    async with owner(folder, *STRACE, "-o", str(trace)) as url:
        assert await get(url, "key") == "x"
    lines = trace.read_text().splitlines()
    spawned = position(lines, SPAWNED.search)
    names = list((folder / "appendonlydir").iterdir())
    assert len(names) == 3
    for path in names:
        assert position(lines, sync_of(path)) < spawned


@needs_shim
async def test_our_own_failed_sync_stops_the_start(folder: Path) -> None:
    async with serving(folder) as server:
        await put(server.url, "key", "x")
    before = incr(folder).stat().st_ino
    with FaultShim("") as everything:
        for fault in (everything.fail_fsync, everything.disk_full):
            fault()
            async with owner(folder, env=everything.env) as said:
                assert said.startswith("disk_failed: The append-only files in")
    assert found(folder, "temp-*") == []
    assert incr(folder).stat().st_ino == before
    async with serving(folder) as server:  # what failed once is not believed again, though a sync would succeed now
        assert await get(server.url, "key") == "x"
        assert incr(folder).stat().st_ino != before


@needs_shim
async def test_a_full_disk_holds_the_server_until_there_is_room(folder: Path) -> None:
    with FaultShim("") as everything:
        async with owner(folder, env=everything.env) as url:
            await put(url, "key", "acknowledged")
            everything.disk_full()
            with pytest.raises(RedisError):
                await put(url, "other", "x")
            met = everything.writes
            await until(lambda: everything.writes > met)  # the copy met it too
            everything.clear()
            assert await get(url, "key") == "acknowledged"
            await put(url, "other", "now")


def test_settling_an_unusable_directory_is_told(folder: Path) -> None:
    folder.mkdir()
    (folder / "appendonlydir").touch()
    with pytest.raises(DiskFailed, match="can't be put on disk"):
        aof.settle(folder)


# Rewrites that were broken off.


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in found(folder))


async def begin_rewrite(url: str, folder: Path) -> None:
    """A rewrite that would take minutes, more than anything here waits for, and has written a megabyte."""
    async with Redis.from_url(url) as client:
        await client.config_set("rdb-key-save-delay", 60_000_000)
        await client.bgrewriteaof()
    await until(lambda: any(path.stat().st_size > 1 << 20 for path in folder.glob("temp-rewriteaof-*")))


def rewriting(folder: Path) -> list[int]:
    """The redis-servers at work in a directory."""
    return [one.pid for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(folder)]


async def fill(url: str) -> None:
    async with Redis.from_url(url) as client:
        await client.set("a", os.urandom(2 << 20))
        await client.set("b", os.urandom(2 << 20))


async def test_broken_off_rewrites_leave_nothing(folder: Path) -> None:
    async with serving(folder) as server:
        await fill(server.url)
        sizes = []
        for restarts in range(1, 5):
            await begin_rewrite(server.url, folder)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await until(partial(restarted, server, restarts))
            assert await get(server.url, "none") is None
            await until(lambda: rewriting(folder) == [server.pid])
            sizes.append(size_of(folder))
        assert max(sizes) < 5 << 20
        assert found(folder, "temp-*") == []


async def test_a_rewrite_that_outlives_all_is_no_obstacle(folder: Path) -> None:
    """The node and its Redis were killed together; the fork that rewrites holds the lock."""
    async with serving(folder) as server:
        await fill(server.url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER, str(folder)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    await begin_rewrite(url, folder)
    main = int((folder / "redis.pid").read_text())
    process.kill()
    os.kill(main, signal.SIGKILL)
    await process.communicate()
    (fork,) = [pid for pid in rewriting(folder) if pid != main]
    async with asyncio.timeout(WAIT), serving(folder) as server:
        assert await get(server.url, "none") is None
        assert found(folder, "temp-*") == []
        assert fork not in rewriting(folder)


# Who may read it.


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def expose(folder: Path) -> None:
    """As a careless copy leaves it."""
    for path in (folder, folder / "appendonlydir"):
        path.chmod(0o755)
    for path in found(folder):
        path.chmod(0o644)


async def test_the_money_is_nobody_elses_to_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(folder) as server:
        await put(server.url, "key", "x")
        assert set(map(mode, found(folder / "appendonlydir"))) == {0o600}
    expose(folder)
    async with serving(folder) as server:
        assert await get(server.url, "key") == "x"
        assert set(map(mode, found(folder / "appendonlydir"))) == {0o600}
        assert mode(folder) == mode(folder / "appendonlydir") == 0o700
    assert f"{folder} had mode 0755" in caplog.text


async def test_a_directory_of_somebody_else_is_refused(folder: Path) -> None:
    theirs = Path("/usr")
    if os.geteuid() == 0:
        theirs = folder
        theirs.mkdir()
        os.chown(theirs, 12345, 12345)
    with pytest.raises(BadSetting, match="belongs to user"):
        await EmbeddedRedis(theirs).start()
