"""Anonymous senders: the name under which one room knows a user. Pure.

It is the same for all that a user sends anonymously to a room, so that streaks and ranking count right, and another in
each room, so that no two hosts find out that they speak of the same user. Who has the salt can tell whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

MARK: Final = "~"
"""What a pseudonym begins with, and no user's id has in it."""

NAME: Final = "Anonymous"

SALT_SIZE: Final = 16
"""Bytes of a salt."""

_SIZE: Final = 8


def pseudonym(salt: bytes, room: str, user: str) -> str:
    """``~`` and 16 hexadecimal digits."""
    return MARK + blake2b(f"{room}\n{user}".encode(), digest_size=_SIZE, key=salt).hexdigest()


def profile(shown: str) -> dict[str, object]:
    """What a room sees of the user with that pseudonym."""
    return {"id": shown, "name": NAME, "picture": "", "level": 0}


class Unmasked:
    """Who is behind what a room shows, for those who have the salt. ``users`` are all that it may be."""

    def __init__(self, salt: bytes, room: str, users: Iterable[str]) -> None:
        self._salt = salt
        self._room = room
        self._users = users
        self._known: Mapping[str, str] | None = None

    def real(self, shown: str) -> str:
        """The user; what it is shown as, where that is no pseudonym of any."""
        if not shown.startswith(MARK):
            return shown
        if self._known is None:
            self._known = {pseudonym(self._salt, self._room, user): user for user in self._users}
        return self._known.get(shown, shown)
