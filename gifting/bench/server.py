"""The server under load: one of our own, or one that is there already."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import psutil

from gifting.bench.options import BenchOptions
from gifting.bench.usage import listener
from gifting.errors import StartError
from gifting.files import raise_limit
from gifting.load.plan import Target

READY_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 20.0
LOG_TAIL: Final = 2000
READY_LINE: Final = re.compile(rb"gifting is ready on (http://\S+)")

OVERRIDES: Final = {
    "GIFTING_MESSAGE_RATE": "1000000",
    "GIFTING_MESSAGE_BURST": "1000000",
    "GIFTING_BYTE_RATE": "1000000000",
    "GIFTING_BYTE_BURST": "1000000000",
    "GIFTING_LIKE_RATE": "1000000",
    "GIFTING_LIKE_BURST": "9999",
    "GIFTING_COMMENT_RATE": "1000000",
    "GIFTING_COMMENT_BURST": "1000000",
    "GIFTING_USER_CONNECTIONS": "1000",
    "GIFTING_MEMBER_RATE": "0",
}
"""A load generator is no viewer: per-user limits are out of its way."""


class Server:
    """Where the load goes. As an ``async with``, without a ``url``, it starts a private one and ends it.

    Args:
        options: which server, or how many workers the private one has.
        redis: URL of a Redis that the private server shares with another; empty: its own.
        secret: what signs the tokens of the private server; empty: made up.
        overrides: settings of the private server, by their environment names.
    """

    def __init__(
        self, options: BenchOptions, *, redis: str = "", secret: str = "", overrides: Mapping[str, str] = OVERRIDES
    ) -> None:
        self._options = options
        self._secret = secret or secrets.token_hex(32)
        self._flags = ["--redis", redis] if redis else []
        self._overrides = overrides
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._found: asyncio.Future[str] | None = None
        self.pid: int | None = None
        self.data_dir = options.data_dir
        self.target: Target

    async def __aenter__(self) -> Self:
        """Raises :class:`StartError` with the end of its log if it does not start."""
        if self._options.url:
            self.target = Target.at(self._options.url, self._options.secret)
            local = self.target.host in {"127.0.0.1", "localhost"}
            self.pid = listener(self.target.port) if local else None
            return self
        try:
            self._prepare()
            await self._launch(0)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def restart(self) -> int:
        """Stop it with SIGTERM and start it again on the same port; the exit status of the one that was stopped.

        Raises:
            StartError: it did not come back.
        """
        status = await self._end()
        await self._launch(self.target.port)
        return status

    async def die(self) -> None:
        """Kill it with SIGKILL, and not its Redis, which outlives it."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._wait_ended(self._process)

    async def launch_again(self) -> None:
        """Start it on the port it had. Raises :class:`StartError`: it did not come back."""
        await self._launch(self.target.port)

    def _prepare(self) -> None:
        raise_limit()
        self._directory = tempfile.TemporaryDirectory(prefix="gifting-bench-", ignore_cleanup_errors=True)
        self.data_dir = str(Path(self._directory.name) / "data")

    async def _launch(self, port: int) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gifting", "serve", "--host", "127.0.0.1", "--port", str(port)),
                *("--data-dir", self.data_dir, "--workers", str(self._options.workers), *self._flags),
                env={**os.environ, **self._overrides, "GIFTING_SECRET": self._secret, **self._unlisted()},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._found = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(), name="server output")
        either: list[asyncio.Future[Any]] = [self._found, self._reader]
        await asyncio.wait(either, timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if not self._found.done():
            raise StartError(f"The server did not start. Its last words:\n{self._last_words()}")
        self.target = Target.at(self._found.result(), self._secret)

    def _unlisted(self) -> dict[str, str]:
        """Keeps its note (:mod:`gifting.running`) from the commands that look for a server."""
        return {"XDG_RUNTIME_DIR": str(self._log.parent)}

    @property
    def _log(self) -> Path:
        assert self._directory is not None
        return Path(self._directory.name) / "server.log"

    async def _read(self) -> None:
        """Find the ready line, and keep the pipe empty after it."""
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._found is not None
        while line := await self._process.stdout.readline():
            if (match := READY_LINE.search(line)) and not self._found.done():
                self._found.set_result(match[1].decode())

    def _last_words(self) -> str:
        return self.log_text()[-LOG_TAIL:]

    def log_text(self) -> str:
        """What the private server has logged so far."""
        return self._log.read_text(errors="replace")

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        """The server and whatever it started: its Redis would outlive it."""
        with suppress(psutil.Error):
            root = psutil.Process(process.pid)
            for one in [root, *root.children(recursive=True)]:
                with suppress(psutil.Error):
                    one.kill()
        await process.wait()

    async def _end(self) -> int:
        """Stop the process; its exit status."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            await self._kill(self._process)
        return await self._wait_ended(self._process)

    async def _wait_ended(self, process: asyncio.subprocess.Process) -> int:
        status = await process.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader])
        if self._found is not None:
            self._found.cancel()
        return status

    async def _stop(self) -> None:
        if self._process is not None:
            await self._end()
        if self._directory is not None:
            self._directory.cleanup()
