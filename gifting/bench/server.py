"""The server under load: one of our own, or one that is there already."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from gifting.bench.launcher import Launcher
from gifting.bench.options import BenchOptions
from gifting.bench.usage import listener
from gifting.files import raise_limit
from gifting.load.plan import Target

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
    "GIFTING_CONFIRM_FIRST_GIFT": "false",
}
"""A load generator is no viewer: per-user limits are out of its way, and nobody is asked."""


def private(
    data_dir: Path, secret: str, overrides: Mapping[str, str], *, workers: int = 1, redis: str = ""
) -> Launcher:
    """A server that nobody else knows of; its data and its log are in a folder of its own."""
    unlisted = {"XDG_RUNTIME_DIR": str(data_dir.parent)}  # its note (gifting.running) is for no other command
    where = {"GIFTING_HOST": "127.0.0.1", "GIFTING_DATA_DIR": str(data_dir), "GIFTING_REDIS": redis}
    where |= {"GIFTING_ARCHIVE": "off"}
    who = {"GIFTING_SECRET": secret, "GIFTING_WORKERS": str(workers)}
    return Launcher({**where, **who, **unlisted, **overrides}, data_dir.parent / "server.log")


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
        self._redis = redis
        self._overrides = overrides
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._launcher: Launcher | None = None
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
        raise_limit()
        self._directory = tempfile.TemporaryDirectory(prefix="gifting-bench-", ignore_cleanup_errors=True)
        data = Path(self._directory.name) / "data"
        self.data_dir = str(data)
        workers, redis = self._options.workers, self._redis
        self._launcher = private(data, self._secret, self._overrides, workers=workers, redis=redis)
        try:
            await self.launch_again()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._launcher is not None:
            await self._launcher.stop()
        if self._directory is not None:
            self._directory.cleanup()

    async def restart(self) -> int:
        """Stop it with SIGTERM and start it again on the same port; the exit status of the one that was stopped.

        Raises:
            StartError: it did not come back.
        """
        status = await self._own.stop()
        await self.launch_again()
        return status

    async def stop(self) -> int:
        """Stop it with SIGTERM; its exit status."""
        return await self._own.stop()

    def pause(self) -> None:
        """SIGSTOP: its connections stay, and it answers nobody until :meth:`resume`."""
        os.kill(self._own.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._own.pid, signal.SIGCONT)

    async def die(self) -> None:
        """Kill it with SIGKILL, and not its Redis, which outlives it."""
        await self._own.die()

    async def launch_again(self) -> None:
        """Start it, on the port it had. Raises :class:`StartError`: it did not come back."""
        await self._own.start()
        self.pid = self._own.pid
        self.target = Target.at(self._own.url, self._secret)

    def log_text(self) -> str:
        """What the private server has logged so far."""
        return self._own.log_text()

    @property
    def _own(self) -> Launcher:
        assert self._launcher is not None
        return self._launcher
