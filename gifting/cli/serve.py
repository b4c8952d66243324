"""``gifting serve``: one option per setting."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Final

import typer

from gifting import config, logs
from gifting.health import Health
from gifting.running import Running, address, announced
from gifting.tasks import Vital

STDIN: Final = 0


def from_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``**flags`` one option per setting."""
    options = [
        inspect.Parameter(row.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(row))
        for row in config.table()
        if row.name not in config.SECRETS
    ]
    own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.kind != one.VAR_KEYWORD]
    command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in [*own, *options]}
    return command


def _option(row: config.Setting) -> Any:
    flags = f"{row.flag}/{row.unflag}" if row.unflag else row.flag
    said = f"{row.help} (default {row.default!r}, env {row.env})"
    return Annotated[row.type | None, typer.Option(flags, help=said, rich_help_panel=row.section)]


@from_table
def serve(*, fd: Annotated[list[int] | None, typer.Option(hidden=True)] = None, **flags: Any) -> None:
    """Run the server: by default with a Redis of its own, everything on disk before it is acknowledged."""
    import uvloop

    from gifting.serving import listen

    settings = config.load(flags)
    logs.set_up(settings)
    listeners = tuple(socket.socket(fileno=number) for number in fd) if fd else listen(settings)
    with ExitStack() as stack:

        def ready() -> None:
            host, port = listeners[0].getsockname()[:2]
            if not fd:
                stack.enter_context(announced(Running.of(settings, host, port)))
            print(f"gifting is ready on {address(settings, host, port)}", flush=True)

        uvloop.run(_serve(settings, listeners, ready, worker=bool(fd)))


async def _serve(
    settings: config.Settings, listeners: Sequence[socket.socket], ready: Callable[[], None], worker: bool
) -> None:
    from gifting.archiving import archived
    from gifting.node import Node, redis_for
    from gifting.workers import run_workers

    loop, vital = asyncio.get_running_loop(), Vital(Health())
    if worker:
        loop.add_reader(STDIN, _hear, vital)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, vital.stop.set)
    loop.add_signal_handler(signal.SIGHUP, _hang_up, vital, worker, os.isatty(STDIN))
    try:
        async with redis_for(settings, vital) as url, archived(settings, url):
            if settings.workers > 1:
                await run_workers(settings, url, listeners, vital, ready)
            else:
                others = _tell_parent if worker else lambda: None
                await Node(settings, url, listeners, vital, tell_others=others).run(ready)
    finally:
        for listener in listeners:
            listener.close()


def _hear(vital: Vital) -> None:
    """What the parent says to this worker."""
    if os.read(STDIN, 512):
        vital.reload.set()
    else:  # it has ended
        asyncio.get_running_loop().remove_reader(STDIN)
        vital.stop.set()


def _hang_up(vital: Vital, worker: bool, in_terminal: bool) -> None:
    """SIGHUP: somebody wants the files read again, unless it is the end of the terminal that this runs in."""
    if in_terminal and not os.isatty(STDIN):
        vital.stop.set()
    else:
        vital.reload.set()
        if worker:
            _tell_parent()


def _tell_parent() -> None:
    """This worker has been asked to read the files again: the parent tells the others."""
    print("reload", flush=True)
