"""When a sampled gift was due, as the words that are said with it: numbers might be cards or phones, which are held."""

from __future__ import annotations

from typing import Final

_DIGITS: Final = "0123456789abcdef"
_LETTERS: Final = "bcfghjknpqrtvwyz"
"""No vowel is among them, so that they make no word that the rules for comments know."""

_TO_LETTERS: Final = str.maketrans(_DIGITS, _LETTERS)
_TO_DIGITS: Final = str.maketrans(_LETTERS, _DIGITS)


def stamp(due: int) -> str:
    """A time in ns as a text that no rule holds."""
    return "t=" + f"{due:x}".translate(_TO_LETTERS)


def read_stamp(text: str | None) -> int | None:
    """The time that a text tells; None: it is none."""
    return int(text[2:].translate(_TO_DIGITS), 16) if text and text.startswith("t=") else None
