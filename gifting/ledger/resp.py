"""Redis' protocol, as far as it is written here: commands, whole or in parts that are kept ready."""

from __future__ import annotations

from typing import cast

from hiredis import pack_command

Words = tuple[str | int | bytes, ...]
"""A command."""


def command(*words: str | int | bytes) -> bytes:
    """A whole command."""
    return cast("bytes", pack_command(words))  # type: ignore[arg-type]  # its stub says that there is one word only


def bulk(value: bytes) -> bytes:
    """A value as an argument of a command."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def bulks(names: list[str]) -> bytes:
    return b"".join(bulk(name.encode()) for name in names)
