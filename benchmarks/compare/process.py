"""Starting a peer's processes, waiting until they accept, and ending exactly those."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from benchmarks.compare.peer import PeerError

FILES: Final = 12_500
"""Open files a peer must be allowed: 12 000 connections and what it has besides."""
START_WITHIN: Final = 30.0
"""Longest wait until a process accepts connections, seconds."""
STOP_WITHIN: Final = 10.0
"""Longest orderly end of a process before it is killed, seconds."""
KILL_WITHIN: Final = 5.0
"""Longest wait for a killed process to be gone, seconds."""
POLL: Final = 0.02
"""Pause between two attempts to connect, seconds."""
TAIL: Final = 3000
"""How much of the end of a log an error quotes, bytes."""

Address = int | Path
"""Where a process listens: a port of 127.0.0.1 or a unix socket."""


def raise_file_limit() -> None:
    """Allows this process, and those it starts, as many open files as it may have.

    Raises:
        PeerError: that is fewer than a peer with 12 000 viewers needs.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        raise PeerError(f"at most {hard} files can be opened here, {FILES} are needed: raise `ulimit -Hn`")
    with suppress(ValueError, OSError):  # an unlimited hard limit can be above what the system takes
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tail(log: Path) -> str:
    """The last words of a log, empty if there is none."""
    return log.read_bytes()[-TAIL:].decode(errors="replace").strip() if log.exists() else ""


@asynccontextmanager
async def process(
    command: Sequence[str | Path],
    directory: Path,
    name: str,
    listens: Address,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[int]:
    """Runs a command in a process group of its own while the context lasts; gives its pid once it accepts.

    Its output goes to ``directory/name.log``; ``directory`` is also where it runs. ``env`` is added to ours.

    Raises:
        PeerError: it is not there, ended, or did not accept in time; with its last words.
    """
    if shutil.which(command[0]) is None:
        raise PeerError(f"{name} can't be run: {command[0]} is not there")
    raise_file_limit()
    path = directory / f"{name}.log"
    with path.open("ab") as log:
        started = await asyncio.create_subprocess_exec(
            *_tied(),
            *(str(part) for part in command),
            cwd=directory,
            env=os.environ | (env or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        await _accepts(started, name, listens, path)
        yield started.pid
    finally:
        await asyncio.shield(_end(started))


def _tied() -> list[str]:
    """What ends a process with us, even if we are killed; nothing where util-linux is not installed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


async def _accepts(started: asyncio.subprocess.Process, name: str, listens: Address, log: Path) -> None:
    try:
        async with asyncio.timeout(START_WITHIN):
            while not await _connects(listens):
                if started.returncode is not None:
                    raise PeerError(f"{name} ended with {started.returncode}: {tail(log)}")
                await asyncio.sleep(POLL)
    except TimeoutError:
        raise PeerError(f"{name} did not accept within {START_WITHIN:.0f} s: {tail(log)}") from None


async def _connects(listens: Address) -> bool:
    try:
        if isinstance(listens, Path):
            _, writer = await asyncio.open_unix_connection(listens)
        else:
            _, writer = await asyncio.open_connection("127.0.0.1", listens)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def _end(started: asyncio.subprocess.Process) -> None:
    """Ends the process and all that is left of its group."""
    if started.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(started.wait(), STOP_WITHIN)
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(KILL_WITHIN):
            await started.wait()
            while group(started.pid):
                await asyncio.sleep(POLL)


def group(leader: int) -> list[int]:
    """The pids of a process group that still run, its leader's too."""
    found = []
    for each in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getpgid(each.pid) == leader and each.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(each.pid)
    return found
