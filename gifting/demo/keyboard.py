"""Keys that are pressed in the terminal, one by one and without Enter, while the demo runs."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


def has_keyboard() -> bool:
    """Whether a terminal's keys come to this process, as they do to one in the foreground."""
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()


@contextmanager
def keys(meant: Mapping[str, Callable[[], None]]) -> Iterator[None]:
    """While the context lasts, a key of ``meant`` calls what it means. Ctrl-C still interrupts."""
    if not has_keyboard():
        yield
        return
    terminal, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    usual = termios.tcgetattr(terminal)

    def read() -> None:
        try:
            for key in read_keys(terminal):
                meant.get(key, _nothing)()
        except EOFError:
            loop.remove_reader(terminal)

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, usual)


def read_keys(terminal: int) -> str:
    """What is pressed, in lower case; nothing if Ctrl-C has taken back what was there to read. Raises EOFError."""
    try:
        pressed = os.read(terminal, 64)
    except BlockingIOError:
        return ""
    if not pressed:
        raise EOFError
    return pressed.decode(errors="ignore").lower()


def _nothing() -> None: ...
