"""A redis-server under callgrind, which counts the instructions of what it is asked. Needs valgrind."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

from hiredis import Reader

from gifting.ledger.embedded.binary import find_binary, server_command

READY_WITHIN: Final = 60.0
"""Seconds that a server under valgrind may take to an answer."""

COUNTED_IN: Final = ("readQueryFromClient", "beforeSleep")
"""Functions of Redis: a request from its bytes to its reply; and what is written then."""


class Server:
    """A redis-server under callgrind, that counts only while it is told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "redis.sock"
        shell = server_command(find_binary(), folder, self.path, 0)
        at = shell.index(str(find_binary()))
        tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out"]
        tool += [f"--toggle-collect={function}" for function in COUNTED_IN]
        (folder / "data").mkdir()
        self._process = subprocess.Popen([*shell[:at], *tool, *shell[at:], "--hz", "1"], stderr=subprocess.DEVNULL)
        self._socket = self._connect()
        self._reader = Reader()

    def _connect(self) -> socket.socket:
        until = time.monotonic() + READY_WITHIN
        while True:
            try:
                found = socket.socket(socket.AF_UNIX)
                found.connect(str(self.path))
            except OSError:
                found.close()
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.1)
            else:
                return found

    def call(self, request: bytes) -> Any:
        """Raises the error that is the reply."""
        self._socket.sendall(request)
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 20))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def count(self, work: Callable[[], None]) -> list[tuple[str, float]]:
        """Instructions by function while ``work`` is done."""
        self._tell("instrumentation on")
        work()
        self._tell("instrumentation off")
        self._tell("dump")
        newest = max(self._folder.glob("out.*"), key=lambda path: int(path.suffix[1:]))
        return list(read_counts(newest))

    def _tell(self, what: str) -> None:
        command_line = ["vgdb", f"--pid={self._process.pid}", "--wait=10", *what.split()]
        subprocess.run(command_line, check=True, capture_output=True, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()


def read_counts(path: Path) -> Iterator[tuple[str, float]]:
    """What callgrind_annotate says of a file: functions and their own instructions, most first."""
    said = ["callgrind_annotate", "--threshold=100", str(path)]
    out = subprocess.run(said, check=True, capture_output=True, text=True).stdout
    for count, where in re.findall(r"^ *([\d,]+) \(.*?\)  (.*)$", out, re.MULTILINE):
        if where != "PROGRAM TOTALS":
            name = where.split(":", 1)[-1].split(" [")[0]
            yield name, float(count.replace(",", ""))
