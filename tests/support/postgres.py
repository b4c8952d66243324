"""A real PostgreSQL for tests: a cluster of its own on a unix socket, without TCP; ended by its id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from typing import Any
from uuid import uuid4

import psycopg
import pytest

START_TIMEOUT = 60.0
"""Longest wait for a server, seconds."""

PROGRAMS = "/usr/lib/postgresql"
"""Where Debian has what is on no PATH, by version."""

ACCOUNT = "postgres"
"""Who runs it where the tests are root's, as which it does not run."""


def find_program(name: str) -> str:
    """The newest one. Skips the test where there is none, but fails it in CI."""
    folders = sorted(Path(PROGRAMS).glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"There is no {name} of PostgreSQL.")
    return found


class Cluster:
    """A cluster in ``folder``; ``options`` are settings of the server, as ``name=value``."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._options = [part for option in ("listen_addresses=", *options) for part in ("-c", option)]
        self._process: subprocess.Popen[bytes] | None = None
        self._alive = -1

    def make(self) -> None:
        """An empty one, in which the account of the tests is believed."""
        flags = ["--pgdata", str(self.data), "--username", "gifting", "--auth", "trust", "--encoding", "UTF8"]
        self.run("initdb", *flags, "--locale", "C", "--no-sync")

    def start(self) -> None:
        """Once all of one that was killed have ended: it refuses data that others still have in their memory."""
        self._wait_for_children()
        self._alive, theirs = os.pipe()
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_program("postgres"), "-D", self.data, "-k", self.folder, *self._options],
                stdout=log, stderr=log, start_new_session=True, pass_fds=(theirs,), **self._as_account(),
            )  # fmt: skip
        os.close(theirs)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "postgres.log").read_text()[-2000:])
            time.sleep(0.02)

    def _wait_for_children(self) -> None:
        """They have one end of a pipe from the server, which is closed when the last of them has ended."""
        if self._alive == -1:
            return
        if not select([self._alive], [], [], START_TIMEOUT)[0]:
            raise RuntimeError("A PostgreSQL that is gone has children that don't end.")
        os.close(self._alive)
        self._alive = -1

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.dsn("postgres"), connect_timeout=2):
            return True
        return False

    def kill(self) -> None:
        """In the midst of whatever it does; its children end when they find it gone, which may take them a moment."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """In order, with a checkpoint. After it nobody writes into its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_TIMEOUT)
        self._wait_for_children()

    def stop_at_once(self) -> None:
        """Without a checkpoint, as ``pg_ctl stop -m immediate`` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(START_TIMEOUT)

    def start_if_it_ended(self) -> None:
        """As who watches over it does; one that recovers by itself is waited for."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers() and time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                self.start()
            time.sleep(0.02)

    def run(self, program: str, *flags: str, **more: Any) -> None:
        """Run a program of PostgreSQL's as who runs the server."""
        command = [find_program(program), *flags]
        done = subprocess.run(command, capture_output=True, check=False, **self._as_account(), **more)
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr.decode()[-2000:]}")

    def dsn(self, database: str) -> str:
        """As psycopg takes it."""
        return f"host={self.folder} user=gifting dbname={database}"

    def new_database(self) -> str:
        """The URL of an empty database, as ``--archive`` takes it."""
        name = f"t{uuid4().hex}"
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://gifting@/{name}?host={self.folder}"

    @staticmethod
    def _as_account() -> dict[str, Any]:
        return {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": [], "cwd": "/"} if os.geteuid() == 0 else {}


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """A short path, since that of a unix socket has about 100 bytes, owned by who runs the server."""
    folder = Path(tempfile.mkdtemp(prefix="gifting-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def postgres(*options: str) -> Iterator[Cluster]:
    """A running cluster; its settings as ``fsync=off``."""
    with postgres_folder() as folder:
        cluster = Cluster(folder, options)
        cluster.make()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
