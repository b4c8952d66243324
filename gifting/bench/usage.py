"""CPU and memory of the processes that matter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psutil

REDIS_NAMES = ("redis-server", "valkey-server")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far (user + system), of the whole machine too, and the server's resident bytes."""

    server_cpu: float
    redis_cpu: float
    load_cpu: float
    machine_cpu: float
    server_rss: int


class Meter:
    """Reads the server's process tree, with its Redis apart, and the load processes.

    Args:
        server: pid of the server; None if it is not on this machine.
        load: pids of the load processes.
    """

    def __init__(self, server: int | None, load: Iterable[int] = ()) -> None:
        self._server: list[psutil.Process] = []
        self._redis: list[psutil.Process] = []
        self._load = [psutil.Process(pid) for pid in load]
        if server is not None:
            root = psutil.Process(server)
            for process in [root, *root.children(recursive=True)]:
                (self._redis if is_redis(process) else self._server).append(process)

    @property
    def knows_server(self) -> bool:
        return bool(self._server)

    @property
    def knows_redis(self) -> bool:
        return bool(self._redis)

    def read(self) -> Usage:
        return Usage(
            _cpu(self._server),
            _cpu(self._redis),
            _cpu(self._load),
            _machine_cpu(),
            sum(map(_resident, self._server)),
        )


def is_redis(process: psutil.Process) -> bool:
    try:
        words = [process.name(), *process.cmdline()[:1]]
    except psutil.Error:
        return False
    return any(name in word for word in words for name in REDIS_NAMES)


def listener(port: int) -> int | None:
    """The pid of the server that listens on a local port, if we may know."""
    try:
        for found in psutil.net_connections(kind="tcp"):
            here = found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port
            if here and found.pid is not None:
                process = psutil.Process(found.pid)
                # Of several processes that hold the socket psutil names one, and a child may have inherited it.
                parent = process.parent() if is_redis(process) else None
                return (parent or process).pid
    except psutil.Error:
        pass
    return None


def _cpu(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def _machine_cpu() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
