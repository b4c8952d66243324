"""A real redis-server for tests, on its own or in cluster mode; ended by its id."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import redis

from gifting.ledger.embedded.ports import free_ports
from gifting.ledger.embedded.process import kill_group
from tests.support.engine import redis_binary

START_TIMEOUT = 30.0
"""Longest wait for a test's server, seconds."""
PORT_ATTEMPTS = 5
"""Free ports tried, in case somebody else takes one first."""
MEMORY_LEAST = 1 << 30
"""Free bytes in memory below which a test's server has its files on disk."""


@contextmanager
def kept_port() -> Iterator[int]:
    """One that is free, and no other test or node takes it while the context lasts."""
    ports = free_ports()
    try:
        yield ports.port
    finally:
        ports.release()


def start_cluster(stack: ExitStack, attempts: int) -> str:
    folder, ports = stack.enter_context(folder_in_memory()), free_ports()
    stack.callback(ports.release)
    url = f"redis://127.0.0.1:{ports.port}"
    flags = ["--port", str(ports.port), "--bind", "127.0.0.1", "--cluster-enabled", "yes"]
    flags += ["--cluster-port", str(ports.bus), "--cluster-announce-ip", "127.0.0.1"]
    try:
        stack.enter_context(redis_server(folder, flags, url, _cluster_ready))
    except RuntimeError:
        if attempts == 1:
            raise
        return start_cluster(stack, attempts - 1)
    return url


def _cluster_ready(client: redis.Redis) -> bool:
    with suppress(redis.ResponseError):  # the slots are taken after the first time
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    return bool(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    # Not pytest's tmp_path: a unix socket's path has about 100 bytes, and a disk takes its time to sync.
    memory = Path("/dev/shm")
    enough = memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_LEAST
    folder = Path(tempfile.mkdtemp(prefix="gifting-test-", dir=memory if enough else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def redis_server(folder: Path, flags: list[str], url: str, ready: Callable[[redis.Redis], bool]) -> Iterator[None]:
    flags = ["--dir", str(folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always", *flags]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([redis_binary(), *flags], stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(process, url, ready, folder / "redis.log")
        yield
    finally:
        kill_group(process.pid)
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, ready: Callable[[redis.Redis], bool], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    with redis.Redis.from_url(url, socket_timeout=1) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(redis.RedisError):
                # Somebody else's server on our port would answer as well.
                if client.info("server")["process_id"] == process.pid and ready(client):
                    return
            time.sleep(0.01)
    raise RuntimeError(f"redis-server did not start:\n{log.read_text()}")
