"""One redis-server in cluster mode on 127.0.0.1, in a folder of its own: what it is told, its life, what it sees."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gifting.errors import NoRedis
from gifting.ledger.embedded.binary import LOG_NAME, PID_NAME
from gifting.ledger.embedded.datadir import POLL
from gifting.ledger.embedded.ports import HOST, free_ports
from gifting.ledger.embedded.process import KILL_TIMEOUT, LOG_TAIL, QUERY_TIMEOUT, kill_group

START_TIMEOUT: Final = 30.0
"""Longest wait for the first answer of a node, its data loaded, seconds."""

KEEPER: Final = '(read -r _; kill -9 0) <&3 3<&- & exec "$@" </dev/null 3<&-'
"""What ``sh`` does: a child waits for the pipe's other end to close, as it does however the parent ends, then ends the
process group, which is the server's own; ``kill_group`` ends both."""


class Peer(NamedTuple):
    """A node as another one sees it: ``master`` is empty for a master, ``slots`` as ``CLUSTER NODES`` has them."""

    master: str
    slots: tuple[str, ...]
    fails: bool


class View(NamedTuple):
    """What a node says of itself and of all that it knows, itself too, by node id.

    ``counts``: ports of the replicas that a master waits for and writes with, which it does a moment after these say
    that they follow.
    """

    ok: bool
    linked: bool
    counts: frozenset[int]
    peers: Mapping[str, Peer]


class Node:
    """A node by its ``id``, which it keeps for life, as it does its port."""

    def __init__(self, folder: Path, binary: Path, password: str, settings: Mapping[str, str]) -> None:
        self.folder, self.id = folder, ""
        self.paused = False
        self._binary, self._password, self._settings = binary, password, settings
        self._ports = free_ports()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self._ports.port

    @property
    def bus(self) -> int:
        return self._ports.bus

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def alive(self) -> bool:
        """It runs, and is not stopped by ``pause``."""
        return self.pid is not None and not self.paused

    async def start(self, pipe: int) -> None:
        """Start it and wait until it answers. ``pipe``: what ends it when its other end is closed.

        Raises:
            NoRedis: it ended, or took too long; the detail ends with its last words.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._configure()
        await asyncio.to_thread(self._launch, pipe)
        clock = asyncio.get_running_loop().time
        end = clock() + START_TIMEOUT
        while self.pid is not None and clock() < end:
            with suppress(RedisError, OSError):
                # Somebody else's server on our port would answer as well.
                if (await self.call("INFO", "server"))["process_id"] == self.pid:
                    self.id = (await self.call("CLUSTER", "MYID")).decode()
                    return
            await asyncio.sleep(POLL)
        raise NoRedis(f"{self._binary} did not start as a node of a cluster. It said: {self._last_words()}")

    def move_ports(self) -> None:
        """To others, before it was ever part of a cluster: somebody else took one first."""
        self.release()
        self._ports = free_ports()

    def release(self) -> None:
        """Its ports may be others' now; it is not started again. May be called again."""
        self._ports.release()

    async def kill(self) -> None:
        """End it at once, as ``kill -9`` does, with what it has begun; it is gone when this returns."""
        if self._process is not None and self._process.poll() is None:
            kill_group(self._process.pid)
            await asyncio.to_thread(self._process.wait, KILL_TIMEOUT)
        self.paused = False

    async def stop(self, bound: float) -> None:
        """End it in order, within ``bound`` seconds; else by force."""
        if self.alive and self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, bound)
            kill_group(self._process.pid)
        await self.kill()

    def pause(self) -> None:
        """SIGSTOP: its connections stay, and nothing answers."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        self._signal(signal.SIGCONT)
        self.paused = False

    async def call(self, *words: str | int, timeout: float = QUERY_TIMEOUT) -> Any:
        """A command's answer, over a connection of its own; tried once, for ``timeout`` seconds."""
        async with _closing(), self.client(timeout) as client:
            return await client.execute_command(*words)

    def client(self, timeout: float = QUERY_TIMEOUT) -> Redis:
        """Talks to this node alone, wherever a slot is; close it. ``timeout``: of each answer, seconds."""
        once = Retry(NoBackoff(), 0)
        password = self._password or None
        return Redis(host=HOST, port=self.port, password=password, socket_timeout=timeout, retry=once)

    async def view(self) -> View:
        """Raises RedisError and OSError."""
        async with _closing(), self.client() as client:
            info = await client.execute_command("CLUSTER", "INFO")
            said = await client.execute_command("INFO", "replication")
            lines = (await client.execute_command("CLUSTER", "NODES")).decode().splitlines()
        linked = said["role"] == "master" or said["master_link_status"] == "up"
        return View(b"cluster_state:ok" in info, linked, _counted(said), dict(map(_peer, lines)))

    def _configure(self) -> None:
        """In a file, as arguments can be read by every user of the machine, and a password is no exception."""
        settings = {
            "dir": json.dumps(str(self.folder)),
            "bind": HOST,
            "port": str(self.port),
            "cluster-port": str(self.bus),
            "cluster-announce-ip": HOST,
            "logfile": LOG_NAME,
            "pidfile": json.dumps(str(self.folder / PID_NAME)),
            **self._settings,
        }
        if self._password:
            settings |= dict.fromkeys(("requirepass", "masterauth"), json.dumps(self._password))
        path = self.folder / "redis.conf"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def _launch(self, pipe: int) -> None:
        command = ["/bin/sh", "-c", f"exec 3<&0; {KEEPER}", "sh", str(self._binary), str(self.folder / "redis.conf")]
        with (self.folder / LOG_NAME).open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=pipe, stdout=out, stderr=out, start_new_session=True
            )

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    def _last_words(self) -> str:
        return (self.folder / LOG_NAME).read_bytes()[-LOG_TAIL:].decode(errors="replace").strip() or "nothing."


def _counted(said: Mapping[str, Any]) -> frozenset[int]:
    """Of what ``INFO replication`` says."""
    replicas = (value for value in said.values() if isinstance(value, dict))  # slave0, slave1, …
    return frozenset(replica["port"] for replica in replicas if replica["state"] == "online")


@asynccontextmanager
async def _closing() -> AsyncIterator[None]:
    """A connection that the node closes while it is written to is lost as any other; uvloop says RuntimeError of it."""
    try:
        yield
    except RuntimeError as error:
        raise ConnectionResetError(str(error)) from None


def _peer(line: str) -> tuple[str, Peer]:
    """A line of ``CLUSTER NODES``; slots on their way (``[…]``) are left out."""
    name, _, flags, master, _, _, _, _, *slots = line.split()
    fails = bool({"fail", "fail?", "handshake", "noaddr"} & set(flags.split(",")))
    return name, Peer(master.replace("-", ""), tuple(slot for slot in slots if slot[0] != "["), fails)
