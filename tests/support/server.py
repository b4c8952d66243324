"""A real server process for tests: started on a free port, ended by its id."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from gifting.bench.launcher import Launcher
from gifting.ledger.connect import connect, keys_of
from gifting.load.operator import Operator
from gifting.load.plan import Target
from gifting.model.protection import Protection, write_protection
from gifting.wire.tokens import Role, issue

SECRET = "a secret for tests only, 32 bytes+"
USUAL = {"secret": SECRET, "confirm_first_gift": False, "archive": "off"}
"""Settings that tests have unless they say otherwise."""
CALL_TIMEOUT = 10.0


class Server(Launcher):
    """``gifting serve`` with the given settings; ``redis`` empty lets it start its own in ``data_dir``.

    ``files``: its limit of open files, if it is to have one of its own.
    """

    def __init__(self, data_dir: Path, redis: str = "", *, files: int = 0, **settings: Any) -> None:
        limited = ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh") if files else ()
        env = {f"GIFTING_{name.upper()}": str(value) for name, value in (USUAL | settings).items()}
        env |= {"GIFTING_DATA_DIR": str(data_dir), "GIFTING_REDIS": redis}
        super().__init__(env, data_dir.parent / "server.log", prefix=limited)
        self.data_dir = data_dir
        self.operator: Operator

    async def start(self) -> None:
        await super().start()
        self.operator = Operator(Target.at(self.url.replace("https", "http", 1), SECRET))  # it speaks no TLS

    def token(self, user: str, role: Role = "viewer", ttl: float = 1000, **claims: Any) -> str:
        return issue(SECRET, user, role, now=time.time(), ttl=ttl, **claims)

    def caller(self, user: str, role: Role, **claims: Any) -> Operator:
        """The HTTP API with a token of that kind."""
        caller = Operator(Target.at(self.url, SECRET))
        caller._token = self.token(user, role, **claims)
        return caller

    async def room(self, room: str, host: str = "host") -> None:
        await self.operator.call("POST", "/v1/rooms", {"room": room, "host": host, "title": "A test"})

    async def protect(self, user: str, record: Protection) -> None:
        """Write what protects the user, past who may set it."""
        url = self.env["GIFTING_REDIS"] or f"unix://{self.data_dir.resolve()}/redis.sock"
        async with connect(url, CALL_TIMEOUT) as redis:
            keys = keys_of(redis, "gifting", 16)
            await redis.hset(f"{keys.base(user)}:accounts", user, write_protection(record))

    async def audit(self) -> tuple[int, str]:
        """``gifting audit`` of this server's data: its exit status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gifting", "audit"), env=os.environ | self.env, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()
