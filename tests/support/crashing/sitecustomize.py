"""Somebody dies at a point of the code: read by every Python whose path has this folder, and idle without ``CRASH_AT``.

``CRASH_AT`` is ``MODULE:CLASS.METHOD:OF:WHEN:WHO``: ``before`` or ``after`` that coroutine's first run with ``OF`` in
what it is given (as Python writes it), ``redis`` (the one that this process has started) gets SIGKILL, or else this
very process. ``CRASH_NOTE`` is a file that is there after that, so that nobody dies twice. ``CRASH_IN`` is the
command, if not ``serve``. ``CRASH_AT=mute`` is a process whose sandbox sends no webhooks at all.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any


def die(who: str, note: Path) -> None:
    """Once."""
    try:
        note.touch(exist_ok=False)
    except FileExistsError:
        return
    if who != "redis":
        os.kill(os.getpid(), signal.SIGKILL)
    import psutil

    for child in psutil.Process().children():
        if "redis" in child.name():
            child.kill()
            while child.status() != psutil.STATUS_ZOMBIE:  # who started it is to find out how it ended
                time.sleep(0.001)


def install(at: str, note: Path) -> None:
    module, name, of, when, who = at.split(":")
    owner_name, method_name = name.split(".")
    owner = getattr(import_module(module), owner_name)
    method = getattr(owner, method_name)

    @wraps(method)
    async def dying(*args: Any, **more: Any) -> Any:
        here = of in repr((args[1:], more))
        if here and when == "before":
            die(who, note)
        result = await method(*args, **more)
        if here and when == "after":
            die(who, note)
        return result

    setattr(owner, method_name, dying)


def mute() -> None:
    """The sandbox tells nobody."""
    import asyncio

    from gifting.economy.providers.sandbox.sender import Sender

    async def run(self: Sender) -> None:
        await asyncio.Event().wait()

    setattr(Sender, "run", run)  # noqa: B010


if (place := os.environ.get("CRASH_AT", "")) and os.environ.get("CRASH_IN", "serve") in sys.orig_argv:
    mute() if place == "mute" else install(place, Path(os.environ["CRASH_NOTE"]))
