"""A Redis and a PostgreSQL as docs/operations.md sets them up, and its commands, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from gifting.archive.store import Store, open_store
from gifting.ledger.connect import connect
from gifting.ledger.embedded import find_binary
from gifting.ledger.embedded.ports import free_ports
from tests.support.archiver import Follower
from tests.support.keys import session_keys
from tests.support.paths import ROOT
from tests.support.postgres import Cluster, find_program, postgres_folder
from tests.support.redis_server import redis_server
from tests.support.server import Server

KEYS = session_keys(16)
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
AOF = ["--aof-timestamp-enabled", "yes", "--auto-aof-rewrite-percentage", "0"]


def blocks(heading: str) -> list[str]:
    """The examples below a heading of docs/operations.md."""
    section = re.split(r"^#+ ", OPERATIONS.partition(f"### {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```\w+\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


SETTINGS, PG_BASE, REDIS_BASE, RESTORE_REDIS, RESTORE_PG, ERASE_AGAIN = blocks("To a point in time")


class Site:
    """Both, in folders of their own, with what the documentation calls their backup beside them."""

    def __init__(self, folder: Path, postgres: Path) -> None:
        self.folder, self.pg = folder, postgres
        self.redis_dir, self.backup = folder / "redis", folder / "backup"
        self.pg_backup = postgres / "backup"
        made = SETTINGS.replace("/backup/wal", str(self.pg_backup / "wal")).strip().splitlines()
        options = [f"{name}={value.strip(chr(39))}" for name, _, value in (line.partition(" = ") for line in made)]
        self.cluster = Cluster(postgres, [*options, "wal_writer_delay=10ms"])
        self.ports = free_ports()
        """Of Redis, kept while it is away."""
        self.redis_url = f"redis://127.0.0.1:{self.ports.port}"
        self.archive = ""
        self._redis = ExitStack()

    def make(self) -> None:
        for folder in (self.redis_dir, self.backup):
            folder.mkdir()
        self.as_postgres("mkdir -p $BACKUP/wal")
        self.cluster.make()
        self.start()
        self.archive = self.cluster.new_database()

    def start(self) -> None:
        self.start_redis()
        self.cluster.start()

    def start_redis(self) -> None:
        flags = ["--port", str(self.ports.port), "--bind", "127.0.0.1", *AOF]
        self._redis.enter_context(redis_server(self.redis_dir, flags, self.redis_url, lambda client: client.ping()))

    def kill_redis(self) -> None:
        self._redis.close()

    def as_postgres(self, commands: str, **names: str) -> None:
        """Commands of the documentation, as who runs PostgreSQL."""
        given = {"BACKUP": self.pg_backup, "PGDATA": self.cluster.data, "DATABASE": self.archive}
        programs = Path(find_program("pg_basebackup")).parent
        _shell(commands, programs, {**{k: str(v) for k, v in given.items()}, **names}, **self.cluster._as_account())

    def as_redis(self, commands: str, **names: str) -> None:
        """Commands of the documentation, as who runs Redis."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        check = programs / "redis-check-aof"  # it is the server itself, by another name
        if not check.exists():
            check.symlink_to(shutil.which(find_binary()) or "")
        given = {"BACKUP": self.backup, "REDIS_DIR": self.redis_dir, "REDIS": self.redis_url}
        _shell(commands, programs, {**{k: str(v) for k, v in given.items()}, **names})

    def put_aside(self, data: Path) -> None:
        """Rename it, as who restores does."""
        data.rename(data.with_name(f"{data.name}-{time.time_ns()}"))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        async with connect(self.redis_url, 10) as client:
            yield client

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        store = open_store(self.archive)
        try:
            yield store
        finally:
            await store.close()

    def server(self, **settings: Any) -> Server:
        return Server(self.folder / "data", self.redis_url, archive=self.archive, **settings)

    def follower(self) -> Follower:
        return Follower(self.redis_url, self.archive, self.folder / "data")

    def close(self) -> None:
        self.kill_redis()
        self.cluster.stop()


def _shell(commands: str, programs: Path, names: dict[str, str], **more: Any) -> None:
    env = os.environ | names | {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-eu"], input=commands.encode(), env=env, capture_output=True, check=False, **more)
    assert done.returncode == 0, done.stderr.decode()


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    with postgres_folder() as postgres:
        made = Site(folder, postgres)
        try:
            made.make()
            yield made
        finally:
            made.close()
            made.ports.release()
