"""Keys that are read from a terminal."""

from __future__ import annotations

import os
import pty
import termios
import tty

import pytest

from gifting.demo.keyboard import read_keys


def test_what_is_pressed_is_read_unless_it_was_taken_back() -> None:
    own, terminal = pty.openpty()
    try:
        tty.setcbreak(terminal)
        os.set_blocking(terminal, False)
        os.write(own, b"Kx\xff")
        assert read_keys(terminal) == "kx"
        os.write(own, b"k")
        termios.tcflush(terminal, termios.TCIFLUSH)  # as Ctrl-C does
        assert read_keys(terminal) == ""
    finally:
        os.close(own)
        os.close(terminal)


def test_the_end_of_a_terminal_is_told() -> None:
    own, other = os.pipe()
    os.close(other)
    try:
        with pytest.raises(EOFError):
            read_keys(own)
    finally:
        os.close(own)
