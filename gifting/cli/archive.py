"""``gifting archive``: follow the books into a database."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Annotated

import typer
import uvloop

from gifting import config, logs
from gifting.cli.options import DataOption, PrefixOption, RedisOption
from gifting.cli.target import data_beside
from gifting.errors import NoRedis

STDIN = 0


def archive(
    redis: RedisOption = None,
    data_dir: DataOption = None,
    key_prefix: PrefixOption = None,
    archive: Annotated[
        str | None, typer.Option("--archive", help="The database: sqlite:///path or postgresql://user@host/database.")
    ] = None,
    seal_key: Annotated[
        str | None, typer.Option("--seal-key", help="The key that signs seals; seal.key in the data directory.")
    ] = None,
    seals: Annotated[
        str | None, typer.Option("--seals", help="The seals outside; seals.jsonl in the data directory.")
    ] = None,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Follow the books into their archive until it is stopped; with a private Redis, `serve` does it by itself."""
    flags = {"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix, "archive": archive}
    flags |= {"seal_key": seal_key, "seals": seals}
    settings = config.load(flags) if child else data_beside(flags)
    logs.set_up(settings)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells every plugin
    uvloop.run(_archive(settings, child))


async def _archive(settings: config.Settings, child: bool) -> None:
    from gifting.archive.service import follow
    from gifting.cli.data import redis_of_data
    from gifting.ledger.connect import FAILURES
    from gifting.settlements import keep_taking_in
    from gifting.tasks import end

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if child:
        loop.add_reader(STDIN, _hear, stop)
    try:
        async with redis_of_data(settings) as url:
            taking_in = asyncio.create_task(keep_taking_in(settings, url, stop), name="settlements")
            try:
                await follow(settings, url, stop, patient=child)
            finally:
                await end([taking_in])
    except FAILURES as error:
        raise NoRedis(f"Redis can't be used: {error}.") from None


def _hear(stop: asyncio.Event) -> None:
    """The server that started this has ended, however it did."""
    if not os.read(STDIN, 512):
        asyncio.get_running_loop().remove_reader(STDIN)
        stop.set()
