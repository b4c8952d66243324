"""``gifting settings``: what all nodes on the same data must have alike."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from gifting import config
from gifting.cli.options import DataOption, PrefixOption, RedisOption
from gifting.cli.target import data_beside
from gifting.errors import BadSetting
from gifting.logs import log_command

if TYPE_CHECKING:
    from gifting.ledger.meta import Meta

T = TypeVar("T")

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context, redis: RedisOption = None, data_dir: DataOption = None, key_prefix: PrefixOption = None
) -> None:
    """Show what all nodes on the same data must have alike, and how it was changed."""
    if context.invoked_subcommand is not None:
        return
    from gifting.ledger.meta import SHARED, read_changes

    settings = data_beside({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix})
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
    settings = data_beside({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix})
    change = _with_meta(settings, lambda meta: meta.change(name, value))
    log_command(settings, "set", {"setting": change.name, "was": change.was, "now": change.now})
    print(f"{change.name} {change.was} became {change.now}; restart every node with it.")


def _with_meta(settings: config.Settings, work: Callable[[Meta], Awaitable[T]]) -> T:
    from gifting.cli.data import with_redis
    from gifting.ledger.connect import BinaryRedis, keys_of
    from gifting.ledger.meta import Meta

    async def done(client: BinaryRedis) -> T:
        key = keys_of(client, settings.key_prefix, settings.partitions).meta
        return await work(Meta(client, key, settings))

    return with_redis(settings, done)
