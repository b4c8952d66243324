"""The command line: ``gifting serve | demo | token | settings | audit | resume | bench``."""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from enum import StrEnum
from json import dumps
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
import uvloop
from redis.exceptions import RedisError
from rich.console import Console

from gifting import bench as benching
from gifting import config
from gifting.cli_data import TIMEOUT, redis_of_data, resume
from gifting.cli_data import app as settings_app
from gifting.demo import DemoOptions, run_demo
from gifting.errors import BadSetting, GiftingError, NoRedis
from gifting.health import Health
from gifting.keys.secretfile import find_secrets
from gifting.ledger.audit import AuditReport, find_books
from gifting.ledger.audit import audit as run_audit
from gifting.ledger.connect import connect
from gifting.model.ids import valid_id
from gifting.node import Node, redis_for
from gifting.serving import listen
from gifting.tasks import Vital
from gifting.wire.keyring import Keyring
from gifting.wire.tokens import LEVEL_MAX, Rules, issue, verify
from gifting.workers import run_workers

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
errors = Console(stderr=True)
app.add_typer(settings_app, name="settings")
app.command()(resume)

SOAK_FLAGS = frozenset({"senders", "viewers", "rooms", "rate", "json"})
"""Flags of a bench that mean something to a soak too."""


def main() -> None:
    """Run the command line; an error that we raise on purpose is one line, not a traceback."""
    try:
        app()
    except GiftingError as error:
        errors.print(f"gifting: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


def _from_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``**flags`` one option per setting."""
    options = [
        inspect.Parameter(
            row.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                row.type | None, typer.Option(row.flag, help=f"{row.help} [env {row.env}; default {row.default!r}]")
            ],
        )
        for row in config.table()
        if row.name not in config.SECRETS
    ]
    own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.kind != one.VAR_KEYWORD]
    command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in [*own, *options]}
    return command


@app.command()
@_from_table
def serve(*, fd: Annotated[list[int] | None, typer.Option(hidden=True)] = None, **flags: Any) -> None:
    """Run the server: by default with a Redis of its own, everything on disk before it is acknowledged."""
    settings = config.load(flags)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    listeners = tuple(socket.socket(fileno=number) for number in fd) if fd else listen(settings)
    host, port = listeners[0].getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    ready = f"gifting is ready on {'https' if settings.tls_cert else 'http'}://{shown}:{port}"
    uvloop.run(_serve(settings, listeners, lambda: print(ready, flush=True), worker=bool(fd)))


async def _serve(
    settings: config.Settings, listeners: Sequence[socket.socket], ready: Callable[[], None], worker: bool
) -> None:
    loop, vital = asyncio.get_running_loop(), Vital(Health())
    if worker:
        loop.add_reader(sys.stdin.fileno(), vital.stop.set)  # only the parent's end makes it readable
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, vital.stop.set)
    try:
        async with redis_for(settings, vital) as url:
            if settings.workers > 1:
                await run_workers(settings, url, listeners, vital, ready)
            else:
                await Node(settings, url, listeners, vital).run(ready)
    finally:
        for listener in listeners:
            listener.close()


class RoleName(StrEnum):
    viewer = "viewer"
    overlay = "overlay"
    creator = "creator"
    operator = "operator"


@app.command()
def token(
    role: RoleName,
    user: Annotated[str, typer.Option(help="User id.")],
    room: Annotated[str, typer.Option(help="The one room the token is for; an overlay needs it.")] = "",
    ttl: Annotated[float, typer.Option(help="Seconds it is valid.", min=1)] = 86400.0,
    name: Annotated[str, typer.Option(help="Shown name.")] = "",
    picture: Annotated[str, typer.Option(help="URL of a picture.")] = "",
    level: Annotated[int, typer.Option(help="Shown level.", min=0, max=LEVEL_MAX)] = 0,
    data_dir: Annotated[str | None, typer.Option(help="Where the signing secret is kept.")] = None,
) -> None:
    """Print a token (a JWT) for a user."""
    if not valid_id(user) or (room and not valid_id(room)):
        raise BadSetting("User and room ids are 1 to 64 letters, digits and _ . : @ -")
    if role is RoleName.overlay and not room:
        raise BadSetting("An overlay token needs --room.")
    settings = config.load({"data_dir": data_dir})
    secret, rules, now = find_secrets(settings)[0], Rules.of(settings), time.time()
    made = issue(
        secret, user, role.value, now=now, ttl=ttl, room=room, name=name, picture=picture, level=level, rules=rules
    )
    verify(Keyring([secret]), made, now=now, rules=rules)  # a name or a life that no server takes is refused here
    print(made)


@app.command()
def audit(
    redis: Annotated[str | None, typer.Option(help="URL of the Redis to audit.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="The data directory to audit, live or stopped.")] = None,
    key_prefix: Annotated[str | None, typer.Option(help="First part of the keys to audit.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Prove the books: rebuild every balance from the ledger. Exit status 0: clean; 1: what differs is told by cause;
    2: there was nothing that could be audited."""
    settings = config.load({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix})
    try:
        report = uvloop.run(_audit(settings))
    except (RedisError, OSError) as error:
        raise NoRedis(f"The audit could not read Redis: {error}.") from None
    except GiftingError:
        raise
    except Exception:  # a bug of ours says nothing about the books, as status 1 would
        errors.print_exception()
        sys.exit(2)
    for line in [dumps(report.as_json(), indent=2)] if json else report.lines():
        print(line)
    sys.exit(0 if report.clean else 1)


async def _audit(settings: config.Settings) -> AuditReport:
    async with redis_of_data(settings) as url:
        client = connect(url, TIMEOUT)
        place = _without_password(settings.redis) if settings.redis else f"The data directory {settings.data_path}"
        try:
            return await run_audit(client, await find_books(client, settings.key_prefix, place))
        finally:
            await client.aclose()


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


@app.command()
def bench(
    url: Annotated[str, typer.Option(help="Server to load; GIFTING_SECRET must be its secret. Empty: start one.")] = "",
    data_dir: Annotated[str, typer.Option(help="Data directory of the server at --url, to audit it.")] = "",
    senders: Annotated[int, typer.Option(help="Connections that send gifts.")] = 50,
    in_flight: Annotated[int, typer.Option(help="Gifts each sender keeps waiting, without --rate.")] = 8,
    viewers: Annotated[int, typer.Option(help="Connections that listen and check everything.")] = 100,
    drain: Annotated[int, typer.Option(help="More viewers, in C, that only count. Needs cc.")] = 0,
    rooms: Annotated[int, typer.Option(help="Rooms they are spread over.")] = 1,
    rate: Annotated[float, typer.Option(help="Gifts/s in all, at fixed times.")] = 0.0,
    full: Annotated[bool, typer.Option("--max", help="As fast as replies come (the default).")] = False,
    duration: Annotated[float, typer.Option(help="Seconds measured.")] = 10.0,
    warmup: Annotated[float, typer.Option(help="Seconds of load before that.")] = 2.0,
    lane: Annotated[str, typer.Option(help="all or live.")] = "all",
    idle: Annotated[int, typer.Option(help="First measure memory for this many idle viewers.")] = 0,
    slow_reader: Annotated[float, typer.Option(help="Seconds for which one more viewer reads nothing.")] = 0.0,
    floor: Annotated[bool, typer.Option(help="Measure the kernel's floor too, in C.")] = False,
    processes: Annotated[int, typer.Option(help="Load processes of each kind; 0: by cores.")] = 0,
    workers: Annotated[int, typer.Option(help="Server processes.")] = 1,
    json: Annotated[str, typer.Option(help="Write the result to this file.")] = "",
    soak: Annotated[str, typer.Option(help="90s, 10m, 1h: churn on two nodes for so long, in 4 rooms.")] = "",
    slope_max: Annotated[float | None, typer.Option(help="With --soak: MiB/h a node may grow.")] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="With --soak: what can fail fails at random moments.")
    ] = False,
) -> None:
    """Measure: a server under load from other processes, then audited."""
    if full and (rate or soak):
        raise BadSetting("--max goes with neither --rate nor --soak.")
    given = {name: value for name, value in locals().items() if name not in {"full", "soak", "slope_max", "faults"}}
    if soak:
        sys.exit(benching.run(_soak_options(soak, slope_max, given, faults=faults)))
    if slope_max is not None or faults:
        raise BadSetting("--slope-max and --faults go with --soak.")
    sys.exit(benching.run(benching.BenchOptions(**given, secret=(*config.load().secrets, "")[0])))


def _soak_options(
    soak: str, slope_max: float | None, given: dict[str, Any], *, faults: bool = False
) -> benching.SoakOptions:
    """What was said, with a soak's own defaults for the rest. Raises BadSetting for a flag that means nothing to it."""
    usual = {one.name: one.default for one in fields(benching.BenchOptions)}
    said = {name: value for name, value in given.items() if value != usual[name]}
    if strange := sorted(said.keys() - SOAK_FLAGS):
        raise BadSetting(f"--soak takes no {', '.join('--' + name.replace('_', '-') for name in strange)}.")
    return benching.SoakOptions(seconds=benching.parse_duration(soak), slope_max=slope_max, faults=faults, **said)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.")] = 8080,
    data_dir: Annotated[str, typer.Option(help="Where to keep the data; empty: nowhere.")] = "",
    viewers: Annotated[int, typer.Option(help="Viewers per room.", min=1, max=2000)] = 40,
    seconds: Annotated[float, typer.Option(help="Stop by itself after this long; 0: at Ctrl-C.", min=0)] = 0.0,
) -> None:
    """Show it: a server, two rooms, viewers who send gifts, and a live table."""
    sys.exit(run_demo(DemoOptions(port=port, data_dir=data_dir, viewers=viewers, seconds=seconds)))
