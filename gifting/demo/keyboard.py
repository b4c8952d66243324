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
        pressed = os.read(terminal, 64).decode(errors="ignore")
        if not pressed:
            loop.remove_reader(terminal)
        for key in pressed.lower():
            meant.get(key, _nothing)()

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, usual)


def _nothing() -> None: ...
