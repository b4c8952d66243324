"""What an id may look like, wherever one comes in: paths, bodies, messages, tokens."""

from __future__ import annotations

import re
from typing import Final

ID: Final = r"\A[A-Za-z0-9_.:@-]{1,64}\Z"
"""User and room ids: 1 to 64 ASCII letters, digits and ``_ . : @ -``; so none can pass for another or hide."""

PERSON: Final = r"\A(?:[A-Za-z0-9_.:@-]{1,64}|~[0-9a-f]{16})\Z"
"""Somebody in a room: a user, or the pseudonym of who gives anonymously."""

TOKEN_ID: Final = r"\A[A-Za-z0-9_.:@~-]{1,128}\Z"  # noqa: S105
"""Token ids: as the others, with a ``~`` between the room and what makes them unique."""

SEQ: Final = r"\A[1-9][0-9]{0,14}\Z"
"""The number of a room's event, below 2^53."""

HELD_ID: Final = r"\A[0-9]{1,16}-[0-9]{1,9}\Z"
"""What a comment that is held is called: when it was said (ms), and a number."""

REPORT_ID: Final = r"\A[0-9a-f]{16}\Z"
"""What a report is called: a digest of it."""

_is_id = re.compile(ID).match
_is_token_id = re.compile(TOKEN_ID).match
_is_seq = re.compile(SEQ).match
_is_held_id = re.compile(HELD_ID).match


def valid_id(text: str) -> bool:
    """Whether ``text`` can be a user's or a room's id."""
    return _is_id(text) is not None


def valid_token_id(text: str) -> bool:
    """Whether ``text`` can be the id of a token."""
    return _is_token_id(text) is not None


def valid_seq(text: str) -> bool:
    """Whether ``text`` can be the number of a room's event."""
    return _is_seq(text) is not None


def valid_held_id(text: str) -> bool:
    """Whether ``text`` can be the id of a comment that is held."""
    return _is_held_id(text) is not None
