"""Commands on data that is there, live or stopped (``settings``, ``resume``), and how others come to its Redis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import typer
import uvloop
from redis.exceptions import RedisError

from gifting import config
from gifting.errors import BadSetting, NoRedis
from gifting.health import Health
from gifting.ledger.binary import AOF_DIR
from gifting.ledger.connect import BinaryRedis, connect
from gifting.ledger.datadir import has_data
from gifting.ledger.embedded import running_url
from gifting.ledger.halt import open_books
from gifting.ledger.keys import Keys
from gifting.ledger.meta import SHARED, Meta, read_changes
from gifting.node import redis_for
from gifting.tasks import Vital

T = TypeVar("T")
TIMEOUT = 60.0
"""Seconds a single Redis call may take."""

RedisOption = Annotated[str | None, typer.Option("--redis", help="URL of the Redis that has the data.")]
DataOption = Annotated[str | None, typer.Option("--data-dir", help="The data directory, live or stopped.")]
PrefixOption = Annotated[str | None, typer.Option("--key-prefix", help="First part of the keys.")]

app = typer.Typer(add_completion=False)


@asynccontextmanager
async def redis_of_data(settings: config.Settings) -> AsyncIterator[str]:
    """The Redis of a data directory: the one that runs on it, else one that is started while the context lasts.

    Raises:
        BadSetting: the directory has no data; nothing was written there then.
    """
    if settings.redis:
        yield settings.redis
        return
    if not has_data(settings.data_path):
        raise BadSetting(f"{settings.data_path} holds no data of a server: there is no {AOF_DIR} with files in it.")
    if (url := running_url(settings.data_path)) is not None:
        yield url
        return
    async with redis_for(settings, Vital(Health())) as url:
        yield url


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context, redis: RedisOption = None, data_dir: DataOption = None, key_prefix: PrefixOption = None
) -> None:
    """Show what all nodes on the same data must have alike, and how it was changed."""
    if context.invoked_subcommand is not None:
        return
    settings = config.load({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix})
    found = _with_meta(settings, lambda meta: meta.read())
    if not found:
        raise BadSetting("There is no data of gifting here.")
    for name in SHARED:
        print(f"{name} {found.get(name.encode(), b'?').decode()}")
    for change in read_changes(found):
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(change.ms / 1000))
        print(f"{when}: {change.name} {change.was} became {change.now}")


@app.command("set")
def set_one(
    name: str,
    value: str,
    redis: RedisOption = None,
    data_dir: DataOption = None,
    key_prefix: PrefixOption = None,
) -> None:
    """Change it for all nodes. Those that run are not ready any more until they are restarted with it."""
    settings = config.load({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix})
    change = _with_meta(settings, lambda meta: meta.change(name, value))
    print(f"{change.name} {change.was} became {change.now}; restart every node with it.")


def resume(redis: RedisOption = None, data_dir: DataOption = None, key_prefix: PrefixOption = None) -> None:
    """Open the books again after a halt. `gifting audit` says first whether they hold. Then restart every node."""
    settings = config.load({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix})
    meta = Keys(settings.key_prefix, settings.partitions).meta
    why = _with_redis(settings, lambda client: open_books(client, meta))
    print(f"The books are open again; restart every node. They were closed at {why}" if why else "No halt is noted.")


def _with_meta(settings: config.Settings, work: Callable[[Meta], Awaitable[T]]) -> T:
    meta = Keys(settings.key_prefix, settings.partitions).meta
    return _with_redis(settings, lambda client: work(Meta(client, meta, settings)))


def _with_redis(settings: config.Settings, work: Callable[[BinaryRedis], Awaitable[T]]) -> T:
    async def run() -> T:
        async with redis_of_data(settings) as url:
            client = connect(url, TIMEOUT)
            try:
                return await work(client)
            finally:
                await client.aclose()

    try:
        return uvloop.run(run())
    except (RedisError, OSError) as error:
        raise NoRedis(f"Redis can't be used: {error}.") from None
