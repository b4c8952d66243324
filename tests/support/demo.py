"""A demo as a newcomer runs it, in a terminal or not, and what it leaves."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.children import runs
from tests.support.commands import environment

START_WITHIN = 60.0
STOP_WITHIN = 40.0
"""Seconds: more than 15 for a master that was killed, 10 for the drain and 5 for the nodes."""

MAIN = "import sys; from gifting.cli import main; sys.exit(main())"
"""What the command that pip installs does."""

COMMAND = (sys.executable, "-c", MAIN, "demo", "--port", "0", "--viewers", "5")
ROWS = 24
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


async def start_demo(tmp_path: Path, *flags: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(*COMMAND, *flags),
        env=environment(TMPDIR=str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path.parent / f"{tmp_path.name}-notes")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )


async def read_links(process: asyncio.subprocess.Process) -> list[str]:
    """The four addresses, an overlay and a room page of each room."""
    assert process.stdout is not None
    links: list[str] = []
    async with asyncio.timeout(START_WITHIN):
        while len(links) < 4:
            line = await process.stdout.readline()
            assert line, f"the demo ended with {await process.wait()}"
            links += re.findall(r"^  (?:overlay|watch) +(http://\S+)$", line.decode().rstrip())
    return links


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def until_gone(processes: list[psutil.Process], folder: Path) -> None:
    async with asyncio.timeout(STOP_WITHIN):
        while any(map(runs, processes)) or left_in(folder):
            await asyncio.sleep(0.05)


class Terminal:
    """A demo in a terminal of ``columns`` × 24."""

    def __init__(self, tmp_path: Path, columns: int, flags: Sequence[str]) -> None:
        self._own, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        notes = str(tmp_path.parent / f"{tmp_path.name}-notes")
        env = environment(TMPDIR=str(tmp_path), XDG_RUNTIME_DIR=notes, TERM="xterm-256color")
        env = {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES", "NO_COLOR", "CI"}}

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            (*COMMAND, *flags),
            env=env,
            stdin=other,
            stdout=other,
            stderr=other,
            preexec_fn=take_terminal,  # noqa: PLW1509
        )
        os.close(other)
        self.text = ""

    def read(self, seconds: float) -> bool:
        """Some output, if there is any within ``seconds``; False at its end."""
        if not select.select([self._own], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._own, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def until(self, words: str) -> None:
        end = time.monotonic() + START_WITHIN
        while words not in self.text:
            assert self.read(0.1), self.text
            assert time.monotonic() < end, self.text

    def until_more(self) -> None:
        """Some more output."""
        length, end = len(self.text), time.monotonic() + START_WITHIN
        while len(self.text) == length:
            assert self.read(0.1) and time.monotonic() < end, self.text

    def press(self, key: str) -> None:
        os.write(self._own, key.encode())

    def press_ctrl_c(self) -> None:
        self.press("\x03")

    def end(self) -> int:
        """Read all, and wait for the end; the exit status."""
        end = time.monotonic() + STOP_WITHIN
        while self.read(0.1) and self.process.poll() is None:
            assert time.monotonic() < end, self.text
        status = self.process.wait(STOP_WITHIN)
        while select.select([self._own], [], [], 0)[0] and self.read(0):
            pass  # it may have said its last words, and ended, since the last look
        return status

    def close(self) -> None:
        os.close(self._own)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def terminal(tmp_path: Path, columns: int = 80, flags: Sequence[str] = ()) -> Iterator[Terminal]:
    made = Terminal(tmp_path, columns, flags)
    try:
        yield made
    finally:
        made.close()
