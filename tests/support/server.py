"""A real server process for tests: started on a free port, ended by its id."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

from gifting.load.operator import Operator
from gifting.load.plan import Target
from gifting.wire.tokens import Role, issue

SECRET = "a secret for tests only, 32 bytes+"
START_WITHIN = 30


class Server:
    """``gifting serve`` with the given settings; ``redis`` empty lets it start its own in ``data_dir``.

    ``files``: its limit of open files, if it is to have one of its own.
    """

    def __init__(self, data_dir: Path, redis: str = "", *, files: int = 0, **settings: Any) -> None:
        self._limit = ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh") if files else ()
        settings = {"secret": SECRET, **settings}
        self._env = {f"GIFTING_{name.upper()}": str(value) for name, value in settings.items()}
        self._env |= {"GIFTING_DATA_DIR": str(data_dir), "GIFTING_REDIS": redis}
        self.data_dir = data_dir
        self.url = ""
        self.process: asyncio.subprocess.Process | None = None
        self.operator: Operator

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        with (self.data_dir.parent / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(*self._limit, sys.executable, "-m", "gifting", "serve", "--port", port),
                env=os.environ | self._env,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), START_WITHIN)
        found = re.search(rb"https?://\S+", line)
        if not found:  # it is ending: to signal it now would take its exit status away from who waits for it
            await asyncio.wait_for(self.process.wait(), START_WITHIN)
        assert found, (self.data_dir.parent / "server.log").read_text()
        self.url = found[0].decode()
        self.operator = Operator(Target.at(self.url.replace("https", "http", 1), SECRET))  # it speaks no TLS

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), START_WITHIN)

    def token(self, user: str, role: Role = "viewer", ttl: float = 1000, **claims: Any) -> str:
        return issue(SECRET, user, role, now=time.time(), ttl=ttl, **claims)

    def caller(self, user: str, role: Role, **claims: Any) -> Operator:
        """The HTTP API with a token of that kind."""
        caller = Operator(Target.at(self.url, SECRET))
        caller._token = self.token(user, role, **claims)
        return caller

    async def room(self, room: str, host: str = "host") -> None:
        await self.operator.call("POST", "/v1/rooms", {"room": room, "host": host, "title": "A test"})

    async def audit(self) -> tuple[int, str]:
        """``gifting audit`` of this server's data: its exit status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gifting", "audit"), env=os.environ | self._env, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()
