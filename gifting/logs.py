"""The log: how its lines look, and the lines that several parts write.

A line is for the operator. So of an error that a client is told it has the code and what happened, and not what the
client should do about it.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from gifting.config import Settings
from gifting.errors import GiftingError, StartError

acts: Final = logging.getLogger("gifting.acts")
upgrades: Final = logging.getLogger("gifting.upgrades")

REFUSALS_A_SECOND: Final = 10
"""Refused upgrades that have a line of their own; of others the next line says how many there were."""

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_up(settings: Settings) -> None:
    """Write the log to stderr as the settings say."""
    handler = logging.StreamHandler()
    handler.addFilter(for_the_operator)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])


def for_the_operator(record: logging.LogRecord) -> bool:
    """Cut off what clients are told to do; lets every line pass."""
    if isinstance(record.args, tuple):
        record.args = tuple(map(_brief, record.args))
    return True


def _brief(value: object) -> object:
    if isinstance(value, GiftingError) and not isinstance(value, StartError):
        return f"{value.code}: {value.detail}" if value.detail else value.code
    return value


class JsonLines(logging.Formatter):
    """An object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, the fields of an act, ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_act(who: str, role: str, what: str, on: dict[str, object]) -> None:
    """Note what somebody did to the server: ``what`` in a few words, and ``on`` what, by names."""
    shown = " ".join(f"{name}={value!r}" for name, value in on.items())
    acts.info("%s %s: %s %s", role, who, what, shown, extra={"fields": {"who": who, "role": role, "act": what, **on}})


def log_command(settings: Settings, what: str, on: dict[str, object]) -> None:
    """Note what somebody did to the data by a command, past the servers: on the command's own stderr."""
    set_up(settings)
    try:
        who = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        who = str(os.getuid())
    log_act(who, "command", what, on)


class Refusals:
    """Refused upgrades: ``counts`` has all of them by code, the log :data:`REFUSALS_A_SECOND` lines a second."""

    def __init__(self, counts: Counter[str], clock: Callable[[], float]) -> None:
        self._counts = counts
        self._clock = clock
        self._begun = 0.0
        self._left = 0
        self._untold = 0

    def count(self, error: GiftingError) -> None:
        self._counts[error.code] += 1

    def note(self, transport: asyncio.BaseTransport, error: GiftingError) -> None:
        self.count(error)
        now = self._clock()
        if now - self._begun >= 1:
            self._begun, self._left = now, REFUSALS_A_SECOND
        if not self._left:
            self._untold += 1
            return
        peer = transport.get_extra_info("peername")
        before = f"; {self._untold} others were, before" if self._untold else ""
        upgrades.info("refused to %s: %s%s", peer[0] if isinstance(peer, tuple) else "a peer", error, before)
        self._left -= 1
        self._untold = 0
