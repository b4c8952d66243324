"""What an error of a Redis call says about the script that was called: whether it has run."""

from __future__ import annotations

from enum import Enum, auto

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

_TURNED_AWAY = (
    AskError,  # and MOVED
    BusyLoadingError,
    ClusterDownError,  # and MASTERDOWN
    ReadOnlyError,
    TryAgainError,
)


class NotSent(RedisConnectionError):
    """There was no connection: nothing was sent."""


class Unanswered(RedisConnectionError):
    """It was sent, and no reply came."""


class NotReplicated(RedisError):
    """It has run, but no replica has said in time that it has it too: a failover could still lose it."""


_NOT_RUN = (
    *_TURNED_AWAY,
    ClusterCrossSlotError,
    NoPermissionError,
    NotSent,
)
_NOT_RUN_CODES = ("BUSY ", "MISCONF ", "NOREPLICAS ", "UNREACHED ")
"""Codes that redis-py has no class for; the last is our own (``lua/debit.lua``)."""

_IN_SCRIPT = "@user_script"
"""Redis names the line of the script that failed. Without it the call was turned away before the first."""


_CLASSES: dict[str, type[RedisError]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "CROSSSLOT": ClusterCrossSlotError,
    "LOADING": BusyLoadingError,
    "MASTERDOWN": MasterDownError,
    "MOVED": MovedError,
    "NOAUTH": AuthenticationError,
    "NOPERM": NoPermissionError,
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "TRYAGAIN": TryAgainError,
    "WRONGPASS": AuthenticationError,
}


def read_error(said: str) -> RedisError:
    """An error as Redis says it, as redis-py would raise it as far as :func:`fate` looks at it."""
    code, _, rest = said.partition(" ")
    found = _CLASSES.get(code)
    return found(rest) if found is not None else ResponseError(said)


class Fate(Enum):
    """What became of a script whose call ended in an error."""

    FORGOTTEN = auto()
    """Redis does not have the script: it has not run, and will when it is sent along."""
    NOT_RUN = auto()
    """It has not run; later it may."""
    NO_MEMORY = auto()
    """It has not run, and won't before there is memory."""
    BROKEN = auto()
    """It failed on its way: what it wrote until then stays."""
    UNKNOWN = auto()
    """No reply came, or a failover may still lose what it said."""


def fate(error: Exception) -> Fate:
    """Of any error that redis-py raises, and of OSError. What isn't known for certain to be harmless is BROKEN."""
    if isinstance(error, ResponseError) and _IN_SCRIPT in str(error):
        return Fate.BROKEN
    if isinstance(error, NoScriptError):
        return Fate.FORGOTTEN
    if isinstance(error, OutOfMemoryError):
        return Fate.NO_MEMORY
    if isinstance(error, _NOT_RUN):
        return Fate.NOT_RUN
    if isinstance(error, ResponseError):
        return Fate.NOT_RUN if str(error).startswith(_NOT_RUN_CODES) else Fate.BROKEN
    return Fate.UNKNOWN


def is_turned_away(error: Exception) -> bool:
    """Whether a node of a cluster can't take a command now, and has not run it; another node can, or it can soon."""
    known = isinstance(error, _TURNED_AWAY) or str(error).startswith("NOREPLICAS ")
    return known and fate(error) is Fate.NOT_RUN
